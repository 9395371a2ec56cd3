// Nodes a damaged or hostile model could hold: every one must end in an error that is not a crash.
#pragma once
#include "cases/make.h"

namespace skiff::cases {

std::vector<OpCase> hostile_cases();

}  // namespace skiff::cases
