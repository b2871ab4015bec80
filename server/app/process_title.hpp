// The title that ps shows for this process. The kernel reads it from where argv and the environment were
// placed at exec; save_arguments() moves the environment away so that the space can be written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mp::app {

// Called first in main(); the copies of the arguments live as long as the process.
void save_arguments(int argc, char** argv);
const std::vector<std::string>& saved_arguments();

// "NAME: TITLE"
void set_process_title(std::string_view title);

}  // namespace mp::app
