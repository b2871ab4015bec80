// The command: what main() runs. Reads the command line, then shows the version, tests a configuration,
// signals a running master, or starts the server.
#pragma once

namespace mp::app {

int main(int argc, char** argv);

}  // namespace mp::app
