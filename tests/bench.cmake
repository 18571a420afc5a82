# SPDX-License-Identifier: MIT
# Parts of `pare bench` that need neither model nor data: their sources are compiled into the tests.
pare_test(test_bench_stats SOURCES test_bench_stats.c ../tools/bench/stats.c)
pare_test(test_bench_analysis SOURCES test_bench_analysis.c bench_scene.c ../tools/bench/analysis.c
          ../tools/bench/analysis_lines.c ../tools/bench/analysis_versus.c ../tools/bench/analysis_best.c
          ../tools/bench/analysis_default.c ../tools/bench/analysis_choice.c ../tools/bench/analysis_half.c
          ../tools/bench/columns.c ../tools/bench/stats.c)
pare_test(test_bench_fair SOURCES test_bench_fair.c bench_scene.c ../tools/bench/analysis.c
          ../tools/bench/analysis_lines.c ../tools/bench/analysis_versus.c ../tools/bench/analysis_best.c
          ../tools/bench/analysis_default.c ../tools/bench/analysis_choice.c ../tools/bench/analysis_half.c
          ../tools/bench/columns.c ../tools/bench/stats.c)
pare_test(test_bench_columns MODULES core model encode select reduce measure view write api
          SOURCES test_bench_columns.c ../tools/bench/columns.c)
pare_test(test_bench_journal MODULES core SOURCES test_bench_journal.c ../tools/bench/journal.c
          ../tools/bench/journal_head.c ../tools/bench/ranks.c ../tools/session.c ../tools/progress.c ../tools/json_line.c)
pare_test(test_bench_judges MODULES core model encode select reduce measure view write api SOURCES test_bench_judges.c
          ../tools/bench/knn.c ../tools/bench/linear_head.c ../tools/bench/boxes.c ../tools/bench/patches.c
          ../tools/bench/features.c)
pare_test(test_bench_run SOURCES test_bench_run.c ../tools/bench/run.c ../tools/bench/cell.c ../tools/bench/bias.c
          ../tools/bench/ranks.c ../tools/bench/features.c ../tools/bench/columns.c ../tools/input.c ../tools/frames.c ../tools/session.c
          ../tools/progress.c ../tools/args.c ../tools/own.c ../tools/npy.c ../tools/mask.c ../tools/map_file.c
          ../tools/selector_cmd.c ../tools/selector_reply.c)
target_link_libraries(test_bench_run PRIVATE pare_media pare PkgConfig::XXHASH)
# Reports of made-up analyses; what the JSON one looks like is also checked against its schema (skipped without
# python3-jsonschema).
pare_test(test_bench_report MODULES core model encode select reduce measure view write api SOURCES test_bench_report.c
          bench_made.c ../tools/bench/report.c ../tools/bench/report_lines.c ../tools/bench/report_table.c
          ../tools/bench/report_md.c ../tools/bench/report_md_lines.c ../tools/bench/report_csv.c
          ../tools/bench/report_json.c ../tools/bench/report_tex.c ../tools/bench/report_svg.c
          ../tools/bench/report_series.c ../tools/bench/plot.c ../tools/bench/analysis.c
          ../tools/bench/analysis_lines.c ../tools/bench/analysis_versus.c ../tools/bench/analysis_best.c
          ../tools/bench/analysis_default.c ../tools/bench/analysis_choice.c ../tools/bench/analysis_half.c
          ../tools/bench/columns.c ../tools/bench/stats.c ../tools/json_line.c ../tools/publish.c ../tools/session.c
          ../tools/progress.c)
add_test(NAME bench_report_schema COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/check_schema.sh
         ${PROJECT_SOURCE_DIR}/tools/suite/bench.schema.json $<TARGET_FILE:test_bench_report> --json)
set_tests_properties(bench_report_schema PROPERTIES SKIP_RETURN_CODE 77)
pare_test(test_bench_pages SOURCES test_bench_pages.c ../tools/bench/page.c ../tools/bench/exam.c
          ../tools/bench/readout.c ../tools/bench/features.c ../tools/bench/cell.c ../tools/bench/columns.c
          ../tools/session.c ../tools/progress.c)
target_link_libraries(test_bench_pages PRIVATE pare)
