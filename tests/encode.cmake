# SPDX-License-Identifier: MIT
pare_test(test_resize MODULES core model encode SOURCES test_resize.c)
pare_test(test_prep MODULES core model encode SOURCES test_prep.c)
pare_test(test_grids MODULES core model encode SOURCES test_grids.c)
pare_test(test_interp MODULES core model encode SOURCES test_interp.c)
pare_test(test_attention MODULES core model encode SOURCES test_attention.c)
pare_test(test_linear MODULES core model encode SOURCES test_linear.c)
pare_test(test_encoder MODULES core model encode SOURCES test_encoder.c)
pare_test(test_units MODULES core model encode SOURCES test_units.c encoder_ref.c)

include(bench/programs.cmake)
