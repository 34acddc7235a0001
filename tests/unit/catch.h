// Catch2, version 2 or 3, whichever the distribution has.
#pragma once

// These have a CHECK of their own, which must be through before Catch2 takes the name.
#include "base/check.h"
#include "base/result.h"
#include "base/secret.h"
#undef CHECK

#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#else
#include <catch2/catch.hpp>
#endif
