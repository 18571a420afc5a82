# SPDX-License-Identifier: MIT
# Parts of `pare bench` that need neither model nor data: their sources are compiled into the tests.
pare_test(test_bench_stats SOURCES test_bench_stats.c ../tools/bench/stats.c)
pare_test(test_bench_analysis SOURCES test_bench_analysis.c bench_scene.c ../tools/bench/analysis.c
          ../tools/bench/analysis_lines.c ../tools/bench/analysis_versus.c ../tools/bench/analysis_best.c
          ../tools/bench/analysis_default.c ../tools/bench/analysis_choice.c ../tools/bench/analysis_half.c
          ../tools/bench/columns.c ../tools/bench/stats.c)
pare_test(test_bench_columns MODULES core model encode select reduce measure view write api
          SOURCES test_bench_columns.c ../tools/bench/columns.c)
pare_test(test_bench_journal MODULES core SOURCES test_bench_journal.c ../tools/bench/journal.c
          ../tools/bench/journal_head.c ../tools/bench/ranks.c ../tools/session.c ../tools/progress.c ../tools/json_line.c)
