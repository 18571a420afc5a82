# SPDX-License-Identifier: MIT
pare_test(test_recipe MODULES core model encode select reduce SOURCES test_recipe.c)
pare_test(test_reduce MODULES core model encode select reduce view write api SOURCES test_reduce.c)
set_tests_properties(test_reduce PROPERTIES TIMEOUT 900)
pare_fuzz(fuzz_recipe MODULES core model encode select reduce SOURCES fuzz/fuzz_recipe.c CORPUS fuzz/corpus/recipe)
