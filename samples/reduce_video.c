/* SPDX-License-Identifier: MIT */
/* A clip to a file of located tokens: patches that repeat an earlier frame are never encoded.
 *
 *     reduce_video CLIP OUT.safetensors [FRAMES_PER_SECOND]
 *
 * Memory holds one window of frames, however long the clip. Links pare and pare_media. */
#include <pare/media.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct job {
    pare_source *source;
    pare_model *model;
    pare_reducer *reducer;
    pare_writer *writer;
} job;

static int open_all(job *j, const char *in, const char *out, double fps, pare_error *err)
{
    const pare_source_opts source = {.struct_size = sizeof source, .fps = fps};
    const pare_reducer_opts reducer = {
        .struct_size = sizeof reducer, .recipe = "temporal-redundancy@patches", .keep = 0.25, .window = 8, .video = 1};
    int rc = pare_source_open(&j->source, in, &source, err);
    if (rc == 0) rc = pare_model_open(&j->model, pare_model_default_path(), err);
    if (rc == 0) rc = pare_reducer_create(&j->reducer, j->model, &reducer, err);
    if (rc != 0) return rc;
    const char *const meta[][2] = {{"recipe", pare_reducer_recipe(j->reducer)}, {"pare_version", pare_version()}};
    const pare_writer_opts writer = {.struct_size = sizeof writer, .meta = meta, .n_meta = 2};
    return pare_writer_open(&j->writer, out, &writer, err);
}

/* Takes every window that is decided by now. PARE_AGAIN: more frames are needed; PARE_EOF: that was the last. */
static int drain(job *j, pare_error *err)
{
    for (;;) {
        pare_result *result = NULL;
        int rc = pare_reducer_pull(j->reducer, &result, err);
        if (rc != 0) return rc;
        rc = pare_writer_append(j->writer, result, err);
        pare_result_free(&result);
        if (rc != 0) return rc;
    }
}

static int run(job *j, pare_error *err)
{
    pare_frame frame = {.struct_size = sizeof frame};
    int rc = pare_source_read(j->source, &frame, err);
    while (rc == 0) {
        rc = pare_reducer_push(j->reducer, &frame, err);
        if (rc == 0) rc = drain(j, err);
        if (rc == PARE_AGAIN) rc = pare_source_read(j->source, &frame, err);
    }
    if (rc == PARE_EOF) rc = pare_reducer_flush(j->reducer, err);
    if (rc == 0) rc = drain(j, err);
    return rc == PARE_EOF ? pare_writer_finish(j->writer, 1, err) : rc;
}

int main(int argc, char **argv)
{
    pare_error err = {0};
    job j = {0};
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: reduce_video CLIP OUT.safetensors [FRAMES_PER_SECOND]\n");
        return 2;
    }
    int rc = pare_runtime_init(NULL, &err);
    if (rc == 0) rc = open_all(&j, argv[1], argv[2], argc == 4 ? atof(argv[3]) : 0, &err);
    if (rc == 0) rc = run(&j, &err);
    pare_reducer_stats s = {.struct_size = sizeof s};
    if (rc == 0) rc = pare_reducer_get(j.reducer, &s, &err);
    if (rc == 0)
        printf("%lld frames, %lld of %lld tokens\n", (long long)s.n_frames, (long long)s.n_out, (long long)s.n_in);
    if (rc != 0) fprintf(stderr, "reduce_video: %s\n", err.text);
    pare_writer_close(&j.writer);
    pare_reducer_close(&j.reducer);
    pare_model_close(&j.model);
    pare_source_close(&j.source);
    return rc != 0;
}
