# SPDX-License-Identifier: MIT
pare_test(test_selectors MODULES core select SOURCES test_selectors.c select_table.c test_spread_merge.c test_temporal.c test_scores.c select_scene.c)
pare_test(test_bend_map MODULES core select SOURCES test_bend_map.c select_scene.c)
pare_test(test_bend_hooks MODULES core select SOURCES test_bend_hooks.c select_scene.c)
pare_test(test_greedy MODULES core select SOURCES test_greedy.c select_scene.c)
pare_test(test_select_kernels MODULES core select SOURCES test_select_kernels.c select_scene.c)
pare_test(test_tiles MODULES core select SOURCES test_tiles.c select_scene.c)
pare_test(test_background MODULES core select SOURCES test_background.c select_scene.c)
pare_test(test_custom MODULES core select SOURCES test_custom.c select_scene.c)
pare_test(test_video_methods MODULES core select SOURCES test_video_methods.c select_scene.c)

# Not a test: needs a quiet machine. See bench/README.md.
pare_bench(bench_selectors MODULES core model encode select SOURCES bench/bench_selectors.c select_scene.c)
