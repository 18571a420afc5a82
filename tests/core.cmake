# SPDX-License-Identifier: MIT
pare_test(test_vec MODULES core SOURCES test_vec.c)
pare_test(test_pool MODULES core SOURCES test_pool.c)
pare_test(test_map MODULES core SOURCES test_map.c)
