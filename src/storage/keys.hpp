// The checks of keys, for the engines of culmen.
#pragma once

#include "culmen/storage_engine.hpp"
