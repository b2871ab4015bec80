// Pure parts of phase modules: the password file, lists of folders.
#include <catch2/catch.hpp>

#include "phases/07_access/password_file.hpp"
#include "phases/10_content/folder_listing.hpp"

using namespace mp::phases;

TEST_CASE("password file: the first line of the user counts") {
  constexpr std::string_view file = "# bob:comment\n\nbobby:1\nbob:secret:more\r\nbob:second\neve:last";
  CHECK(find_stored_password(file, "bob") == "secret");
  CHECK(find_stored_password(file, "bobby") == "1");
  CHECK(find_stored_password(file, "eve") == "last");
  CHECK(!find_stored_password(file, "bo"));
  CHECK(!find_stored_password(file, "# bob"));
  CHECK(!find_stored_password("", "bob"));
}

TEST_CASE("password file: line ends") {
  CHECK(find_stored_password("bob:x\r\n", "bob") == "x");
  CHECK(find_stored_password("bob:\n", "bob") == "");
}

TEST_CASE("lists of folders: folders first") {
  std::vector<FolderEntry> entries = {
      {"b", false, true, 0, 1}, {"z", true, false, 0, 0}, {"a", false, true, 0, 1}};
  sort_entries(entries);
  CHECK(entries[0].name == "z");
  CHECK(entries[1].name == "a");
}

TEST_CASE("lists of folders: HTML") {
  const std::vector<FolderEntry> entries = {{"d", true, false, 0, 4096},
                                            {"a<b", false, true, 86400 * 365, 12345}};
  CHECK(list_as_html("/x&y/", entries, {}) ==
        "<html>\r\n<head><title>Index of /x&amp;y/</title></head>\r\n<body>\r\n<h1>Index of "
        "/x&amp;y/</h1><hr><pre>"
        "<a href=\"../\">../</a>\r\n"
        "<a href=\"d/\">d/</a>" +
            std::string(48, ' ') +
            " 01-Jan-1970 00:00                   -\r\n"
            "<a href=\"a%3Cb\">a&lt;b</a>" +
            std::string(47, ' ') +
            " 01-Jan-1971 00:00               12345\r\n"
            "</pre><hr></body>\r\n</html>\r\n");
  const std::string text = list_as_html("/", entries, {.exact_size = false});
  CHECK(text.find("00:00       -\r\n") != std::string::npos);
  CHECK(text.find("00:00     12K\r\n") != std::string::npos);
}

TEST_CASE("lists of folders: long names are cut") {
  const std::vector<FolderEntry> fits = {{std::string(50, 'n'), false, true, 0, 1}};
  CHECK(list_as_html("/", fits, {}).find(">" + std::string(50, 'n') + "</a> 01-Jan") != std::string::npos);
  const std::vector<FolderEntry> cut = {{std::string(51, 'n'), true, false, 0, 1}};
  CHECK(list_as_html("/", cut, {}).find(">" + std::string(47, 'n') + "..&gt;</a> 01-Jan") !=
        std::string::npos);
}

TEST_CASE("lists of folders: XML and JSON") {
  const std::vector<FolderEntry> entries = {
      {"d", true, false, 0, 4096}, {"f\"", false, true, 1, 5}, {"s", false, false, 0, 0}};
  CHECK(list_as_xml(entries) ==
        "<?xml version=\"1.0\"?>\r\n<list>\r\n"
        "<directory mtime=\"1970-01-01T00:00:00Z\">d</directory>\r\n"
        "<file mtime=\"1970-01-01T00:00:01Z\" size=\"5\">f&quot;</file>\r\n"
        "<other mtime=\"1970-01-01T00:00:00Z\">s</other>\r\n</list>\r\n");
  CHECK(list_as_json(entries, "") ==
        "[\r\n{ \"name\":\"d\", \"type\":\"directory\", \"mtime\":\"Thu, 01 Jan 1970 00:00:00 GMT\" },"
        "\r\n{ \"name\":\"f\\\"\", \"type\":\"file\", \"mtime\":\"Thu, 01 Jan 1970 00:00:01 GMT\", "
        "\"size\":5 },"
        "\r\n{ \"name\":\"s\", \"type\":\"other\", \"mtime\":\"Thu, 01 Jan 1970 00:00:00 GMT\" }\r\n]");
  CHECK(list_as_json({}, "cb") == "/* callback */\r\ncb([\r\n]);");
}
