// The subcommands. Each adds itself to the command line; parsing sets the action that main() then runs.
#pragma once
#include <functional>

namespace CLI {
class App;
}

namespace skiff::tool {

using Action = std::function<int()>;  // returns the exit code: 0, or 1 for a failure it has reported itself

void add_info(CLI::App& app, Action& action);
void add_run(CLI::App& app, Action& action);
void add_verify(CLI::App& app, Action& action);
void add_bench(CLI::App& app, Action& action);
void add_profile(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_quantize(CLI::App& app, Action& action);
void add_devices(CLI::App& app, Action& action);
void add_rewrite(CLI::App& app, Action& action);
void add_knobs(CLI::App& app, Action& action);

}  // namespace skiff::tool
