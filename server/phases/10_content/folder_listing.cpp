#include "phases/10_content/folder_listing.hpp"

#include <algorithm>
#include <ctime>
#include <iterator>

#include <fmt/core.h>

#include "base/clock.hpp"
#include "base/escape.hpp"
#include "base/utf8.hpp"

namespace mp::phases {
namespace {

constexpr std::size_t kNameWidth = 50;
constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

template <class... Args>
void put(std::string& out, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(out), format, std::forward<Args>(args)...);
}

std::string html(std::string_view text) {
  std::string out(escaped_html_size(text), '\0');
  escape_html_into(out.data(), text);
  return out;
}

std::string uri_component(std::string_view text) {
  std::string out(escaped_uri_size(text, UriEscape::uri_component), '\0');
  escape_uri_into(out.data(), text, UriEscape::uri_component);
  return out;
}

std::string json(std::string_view text) {
  std::string out(escaped_json_size(text), '\0');
  escape_json_into(out.data(), text);
  return out;
}

std::tm utc(std::int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm tm{};
  gmtime_r(&time, &tm);
  return tm;
}

// "512", "10K", "3M", "2G": rounded, seven characters wide.
std::string short_size(std::int64_t size) {
  constexpr std::int64_t kK = 1024;
  const auto rounded = [size](std::int64_t unit) { return size / unit + (size % unit > unit / 2 - 1); };
  if (size > kK * kK * kK - 1) return fmt::format("{:6}G", rounded(kK * kK * kK));
  if (size > kK * kK - 1) return fmt::format("{:6}M", rounded(kK * kK));
  if (size > 9999) return fmt::format("{:6}K", rounded(kK));
  return fmt::format(" {:6}", size);
}

// The name as it is shown, cut when it is too long, and what fills its column.
void put_name(std::string& out, const FolderEntry& entry, bool utf8) {
  const std::size_t length = utf8 ? utf8_length(entry.name) : entry.name.size();
  if (length > kNameWidth) {
    const std::string_view name = entry.name;
    out += html(utf8 ? utf8_prefix(name, kNameWidth - 3) : name.substr(0, kNameWidth - 3));
    out += "..&gt;</a>";
    return;
  }
  out += html(entry.name);
  const bool slash = entry.is_folder && length < kNameWidth;
  if (slash) out += '/';
  out += "</a>";
  out.append(kNameWidth - length - slash, ' ');
}

void put_html_row(std::string& out, const FolderEntry& entry, const HtmlListing& options) {
  put(out, "<a href=\"{}{}\">", uri_component(entry.name), entry.is_folder ? "/" : "");
  put_name(out, entry, options.utf8);
  const std::tm tm = utc(entry.modified + options.time_offset);
  put(out, " {:02}-{}-{} {:02}:{:02} ", tm.tm_mday, kMonths[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour,
      tm.tm_min);
  if (entry.is_folder) {
    put(out, "{:>{}}", "-", options.exact_size ? 19 : 7);
  } else if (options.exact_size) {
    put(out, "{:19}", entry.size);
  } else {
    out += short_size(entry.size);
  }
  out += "\r\n";
}

std::string_view kind(const FolderEntry& entry) {
  return entry.is_folder ? "directory" : entry.is_file ? "file" : "other";
}

}  // namespace

void sort_entries(std::vector<FolderEntry>& entries) {
  std::sort(entries.begin(), entries.end(), [](const FolderEntry& a, const FolderEntry& b) {
    return a.is_folder != b.is_folder ? a.is_folder : a.name < b.name;
  });
}

std::string list_as_html(std::string_view uri, const std::vector<FolderEntry>& entries,
                         const HtmlListing& options) {
  const std::string title = html(uri);
  std::string out;
  put(out, "<html>\r\n<head><title>Index of {}</title></head>\r\n<body>\r\n<h1>Index of {}</h1>", title,
      title);
  out += "<hr><pre><a href=\"../\">../</a>\r\n";
  for (const FolderEntry& entry : entries) put_html_row(out, entry, options);
  out += "</pre><hr></body>\r\n</html>\r\n";
  return out;
}

std::string list_as_xml(const std::vector<FolderEntry>& entries) {
  std::string out = "<?xml version=\"1.0\"?>\r\n<list>\r\n";
  for (const FolderEntry& entry : entries) {
    const std::tm tm = utc(entry.modified);
    put(out, "<{} mtime=\"{:4}-{:02}-{:02}T{:02}:{:02}:{:02}Z\"", kind(entry), tm.tm_year + 1900,
        tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (entry.is_file) put(out, " size=\"{}\"", entry.size);
    put(out, ">{}</{}>\r\n", html(entry.name), kind(entry));
  }
  out += "</list>\r\n";
  return out;
}

std::string list_as_json(const std::vector<FolderEntry>& entries, std::string_view callback) {
  std::string out;
  // The comment keeps the answer from being taken for something else than a script.
  if (!callback.empty()) put(out, "/* callback */\r\n{}(", callback);
  out += '[';
  for (const FolderEntry& entry : entries) {
    char date[kHttpDateSize];
    write_http_date(date, entry.modified);
    put(out, "{}\r\n{{ \"name\":\"{}\", \"type\":\"{}\", \"mtime\":\"{}\"",
        &entry == entries.data() ? "" : ",", json(entry.name), kind(entry),
        std::string_view(date, sizeof date));
    if (entry.is_file) put(out, ", \"size\":{}", entry.size);
    out += " }";
  }
  out += "\r\n]";
  if (!callback.empty()) out += ");";
  return out;
}

}  // namespace mp::phases
