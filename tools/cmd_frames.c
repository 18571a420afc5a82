/* SPDX-License-Identifier: MIT */
/* pare frames: key frames of clips within a budget of tokens, as pictures or a small video, with the prompt that goes with
 * them. Every clip is read twice: once to survey it, once to write what was chosen. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "input.h"
#include "json_line.h"
#include "key_folder.h"
#include "prompt.h"
#include "publish.h"

enum { FORMAT_AUTO, FORMAT_JPEG, FORMAT_PNG, FORMAT_MP4 };
enum { NAME = 64, DEFAULT_QUALITY = 90 };
#define DEFAULT_EVENNESS 0.25

typedef struct frames_opts {
    cli_common common;
    cli_pick pick;
    cli_key_budget budget;
    cli_list consumer;
    const char *output, *size;
    int32_t format;
    int64_t quality;
} frames_opts;

typedef struct job {
    frames_opts *o;
    const char *input, *output; /* output: a folder, a video, or NULL */
    int is_video_file;
    int32_t format;
    pare_source_info info;
    pare_survey *survey;
    pare_survey_view view;
    cli_key_plan plan;
    char (*name)[NAME]; /* [plan.n] */
    const char **file;  /* [plan.n] the same */
    uint8_t *rgb;       /* one frame at the chosen size */
    cli_folder folder;
    pare_video_writer *video;
} job;

static const cli_option budget_options[] = {
    {"tokens", 0, CLI_INT, offsetof(frames_opts, budget.tokens), "N", 1, 1e12, "visual tokens of all frames, at most"},
    {"tokens-per-frame", 0, CLI_INT, offsetof(frames_opts, budget.tokens_per_frame), "N", 1, 1e9,
     "visual tokens of a frame, at most; sizes shrink to it"},
    {"keep", 'k', CLI_REAL, offsetof(frames_opts, budget.keep), "SHARE", 1e-9, 1,
     "share of the tokens that all frames would cost"},
    {"frames", 0, CLI_INT, offsetof(frames_opts, budget.frames), "N", 1, 1e6,
     "so many frames (default 16 where tokens are not budgeted)"},
    {"consumer", 'c', CLI_LIST, offsetof(frames_opts, consumer), "NAME|all", 0, 0,
     "whose tokens; may be repeated, the budget then holds for each (pare list consumers)"},
    {"size", 's', CLI_TEXT, offsetof(frames_opts, size), "WxH|auto", 0, 0,
     "pixels of the frames; auto weighs size against count (default: as they are)"},
    {0},
};

static const cli_option choice_options[] = {
    {"evenness", 0, CLI_REAL, offsetof(frames_opts, budget.evenness), "SHARE", 1e-9, 1,
     "near 0 = where most changes, 1 = evenly over time (default 0.25)"},
    {"min-gap", 0, CLI_REAL, offsetof(frames_opts, budget.min_gap), "SECONDS", 0, 1e9,
     "between chosen frames, at least"},
    {"uniform", 0, CLI_FLAG, offsetof(frames_opts, budget.uniform), NULL, 0, 0,
     "every n-th frame whatever happens, to compare with"},
    {"fps", 0, CLI_REAL, offsetof(frames_opts, pick.fps), "F", 1e-6, 1e6, "look at frames at this rate only"},
    {"every", 0, CLI_INT, offsetof(frames_opts, pick.every), "N", 1, 1e9, "look at every N-th frame only"},
    {"start", 0, CLI_REAL, offsetof(frames_opts, pick.start), "SECONDS", 0, 1e9, "first moment"},
    {"end", 0, CLI_REAL, offsetof(frames_opts, pick.end), "SECONDS", 0, 1e9, "last moment (default: the end)"},
    {"exif", 0, CLI_FLAG, offsetof(frames_opts, pick.exif), NULL, 0, 0,
     "turn photos upright as their EXIF orientation says"},
    {0},
};

static const cli_option output_options[] = {
    {"output", 'o', CLI_TEXT, offsetof(frames_opts, output), "DIR|FILE.mp4", 0, 0,
     "folder of pictures and prompt.json, one below it for each of several clips, or a video and FILE.prompt.json "
     "(default: nothing is written)"},
    {"format", 0, CLI_CHOICE, offsetof(frames_opts, format), "auto|jpeg|png|mp4", 0, 0,
     "what the folder holds (default jpeg)"},
    {"quality-jpeg", 0, CLI_INT, offsetof(frames_opts, quality), "Q", 1, 100, "1 to 100 (default 90)"},
    {0},
};

static const cli_group groups[] = {
    {"Budget:", budget_options, 0},
    {"Choice:", choice_options, 0},
    {"Output:", output_options, 0},
    {"Common:", cli_common_options, 0},
    {0},
};

/* ---- the survey -------------------------------------------------------------------------------------------------- */

/* Reads a source frame by frame; `take` answers CLI_OK to go on, or -1 to stop without an error. */
static int read_all(job *j, int (*take)(job *, const pare_frame *, int64_t))
{
    cli_common *c = &j->o->common;
    cli_pick whole = j->o->pick;
    pare_source *source = NULL;
    pare_error err = {0};
    pare_frame frame = {.struct_size = sizeof frame};
    int got = 0;
    int64_t i = 0;
    whole.read_ahead = CLI_READ_AHEAD;
    int rc = cli_source_open(c, &whole, j->input, &source, &j->info);
    if (rc == CLI_OK && j->info.is_live) {
        pare_source_close(&source);
        return cli_usage(
            c, "%s cannot be read twice, and frames are chosen when the whole clip was seen: save it first", j->input);
    }
    for (; rc == CLI_OK && (got = pare_source_read(source, &frame, &err)) == 0; i++) {
        rc = take(j, &frame, i);
        cli_progress_step(&c->bar, i + 1);
    }
    if (rc == -1) rc = CLI_OK;
    if (rc == CLI_OK && *cli_stop_flag()) rc = CLI_STOPPED;
    if (rc == CLI_OK && got < 0) rc = cli_fail_read(c, &err);
    if (source != NULL) pare_source_get(source, &j->info, NULL);
    pare_source_close(&source);
    return rc;
}

static int look(job *j, const pare_frame *frame, int64_t i)
{
    (void)i;
    pare_error err = {0};
    if (pare_survey_push(j->survey, frame, &err) == 0) return CLI_OK;
    return cli_fail_input(&j->o->common, j->input, &err, CLI_FAILED);
}

static int survey(job *j)
{
    cli_common *c = &j->o->common;
    pare_error err = {0};
    const pare_survey_opts opts = {.struct_size = sizeof opts, .with_sizes = cli_key_weighs(&j->o->budget)};
    if (pare_survey_create(&j->survey, &opts, &err) != 0) return cli_fail(c, &err, CLI_FAILED);
    cli_progress_begin(&c->bar, c->progress, "frames", 0);
    const int rc = read_all(j, look);
    cli_progress_end(&c->bar);
    if (rc != CLI_OK) return rc;
    j->view.struct_size = sizeof j->view;
    pare_survey_get(j->survey, &j->view, NULL);
    const cli_taken taken = {.n = j->view.n, .end = j->view.n > 0 ? j->view.pts[j->view.n - 1] : 0};
    cli_warn_input(c, j->input, &j->o->pick, &j->info, &taken);
    return cli_key_decide(c, j->input, j->survey, &j->o->budget, j->info.is_image, &j->plan);
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static const char *suffix(int32_t format) { return format == FORMAT_PNG ? "png" : "jpg"; }

static const char *media_type(int32_t format)
{
    return format == FORMAT_PNG ? "image/png" : format == FORMAT_MP4 ? "video/mp4" : "image/jpeg";
}

static int name_files(job *j)
{
    const cli_key_size *s = &j->plan.size[j->plan.chosen];
    j->name = calloc((size_t)j->plan.n, sizeof *j->name);
    j->file = calloc((size_t)j->plan.n, sizeof *j->file);
    j->rgb = malloc((size_t)s->width * (size_t)s->height * 3);
    if (j->name == NULL || j->file == NULL || j->rgb == NULL) {
        cli_say(&j->o->common, "%s: out of memory for %lld frames", j->input, (long long)j->plan.n);
        return CLI_FAILED;
    }
    for (int64_t i = 0; i < j->plan.n; i++) {
        const int64_t index = j->plan.index[i];
        snprintf(j->name[i], NAME, "frame_%06lld_t%.3f.%s", (long long)index, j->view.pts[index] - j->info.origin,
                 suffix(j->format));
        j->file[i] = j->name[i];
    }
    return CLI_OK;
}

static int save_picture(job *j, int64_t k)
{
    const cli_key_size *s = &j->plan.size[j->plan.chosen];
    pare_error err = {0};
    char *path = cli_folder_file(&j->folder, j->file[k]);
    int rc = path == NULL ? pare_fail(&err, PARE_E_NOMEM, "out of memory for a file name") : 0;
    if (rc == 0 && j->format == FORMAT_PNG)
        rc = pare_png_save(path, j->rgb, s->width, s->height, &err);
    else if (rc == 0)
        rc = pare_jpeg_save(path, j->rgb, s->width, s->height, (int32_t)j->o->quality, &err);
    free(path);
    return rc == 0 ? CLI_OK : cli_fail(&j->o->common, &err, CLI_FAILED);
}

/* The next chosen frame, if this is it. */
static int put(job *j, const pare_frame *frame, int64_t i)
{
    const cli_key_plan *p = &j->plan;
    const cli_key_size *s = &p->size[p->chosen];
    pare_error err = {0};
    int64_t k = 0;
    while (k < p->n && p->index[k] < i) k++;
    if (k == p->n) return -1;
    if (p->index[k] != i) return CLI_OK;
    int rc = pare_frame_resize(frame, PARE_RESIZE_LANCZOS, j->rgb, s->width, s->height, &err);
    if (rc == 0 && j->video != NULL)
        rc = pare_video_writer_append(j->video, j->rgb, j->view.pts[i] - j->view.pts[p->index[0]], &err);
    if (rc != 0) return cli_fail_input(&j->o->common, j->input, &err, CLI_FAILED);
    return j->video != NULL ? CLI_OK : save_picture(j, k);
}

static int open_video(job *j)
{
    const cli_key_size *s = &j->plan.size[j->plan.chosen];
    const double *pts = j->view.pts;
    const int64_t *index = j->plan.index, n = j->plan.n;
    const double time = pts[index[n - 1]] - pts[index[0]];
    pare_error err = {0};
    char *inside = j->is_video_file ? NULL : cli_folder_file(&j->folder, "frames.mp4");
    const char *path = j->is_video_file ? j->output : inside;
    int rc = path == NULL ? pare_fail(&err, PARE_E_NOMEM, "out of memory for a file name") : 0;
    if (rc == 0)
        rc = pare_video_writer_open(&j->video, path, s->width, s->height, time > 0 ? (double)(n - 1) / time : 1, &err);
    free(inside);
    return rc == 0 ? CLI_OK : cli_fail(&j->o->common, &err, CLI_FAILED);
}

/* The prompt comes last: where it is, all is there. */
static int save_prompt(job *j, const json_t *prompt)
{
    char *path = NULL, *text = json_dumps(prompt, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
    int rc = CLI_FAILED;
    if (j->is_video_file) {
        const size_t stem = strlen(j->output) - strlen(".mp4");
        if (asprintf(&path, "%.*s.prompt.json", (int)stem, j->output) < 0) path = NULL;
    } else {
        path = cli_folder_file(&j->folder, CLI_MANIFEST);
    }
    if (path == NULL || text == NULL)
        cli_say(&j->o->common, "%s: out of memory for the prompt", j->input);
    else
        rc = cli_publish(&j->o->common, path, text, strlen(text));
    free(path);
    free(text);
    return rc;
}

static int write_files(job *j, const json_t *prompt)
{
    cli_common *c = &j->o->common;
    pare_error err = {0};
    int rc = j->is_video_file ? CLI_OK : cli_folder_open(c, j->output, &j->folder);
    if (rc == CLI_OK && j->format == FORMAT_MP4) rc = open_video(j);
    if (rc == CLI_OK) rc = read_all(j, put);
    if (rc == CLI_OK && j->video != NULL && pare_video_writer_finish(j->video, &err) != 0)
        rc = cli_fail(c, &err, CLI_FAILED);
    pare_video_writer_close(&j->video);
    if (rc == CLI_OK) rc = save_prompt(j, prompt);
    if (rc == CLI_OK && !j->is_video_file) rc = cli_folder_commit(c, &j->folder);
    return rc;
}

/* ---- the command ------------------------------------------------------------------------------------------------- */

static void print_outcome(const job *j)
{
    const cli_key_plan *p = &j->plan;
    const cli_key_size *s = &p->size[p->chosen];
    printf("%s%s: %lld of %lld frames at %dx%d, %lld scene%s, coverage %.3f (uniform %.3f)\n",
           j->output != NULL ? "wrote " : "", j->output != NULL ? j->output : j->input, (long long)p->n,
           (long long)j->view.n, s->width, s->height, (long long)j->view.n_cuts + 1, j->view.n_cuts ? "s" : "",
           s->coverage, p->coverage_uniform);
    for (int32_t i = 0; i < p->n_consumer; i++) {
        const cli_key_consumer *k = &p->consumer[i];
        if (k->refusal.code != 0)
            printf("  %-16s %s\n", k->info.name, k->refusal.text);
        else
            printf("  %-16s %lld tokens, %.6g a frame\n", k->info.name, (long long)k->count.n_tokens,
                   (double)k->count.n_tokens / (double)p->n);
    }
}

static int run_clip(frames_opts *o, const cli_key_plan *consumers, const char *input, const char *output)
{
    job j = {.o = o, .input = input, .output = output, .plan = *consumers};
    json_t *prompt = NULL;
    j.is_video_file = output != NULL && cli_has_suffix(output, ".mp4");
    j.format = o->budget.as_clip ? FORMAT_MP4 : o->format;
    int rc = survey(&j);
    if (rc == CLI_OK) rc = name_files(&j);
    if (rc != CLI_OK) goto done;
    const cli_prompt about = {.input = input,
                              .info = &j.info,
                              .survey = &j.view,
                              .budget = &o->budget,
                              .plan = &j.plan,
                              .media_type = media_type(j.format),
                              .video = j.format != FORMAT_MP4 ? NULL
                                       : j.is_video_file      ? cli_base_name(output)
                                                              : "frames.mp4",
                              .file = j.file,
                              .is_photo = j.info.is_image};
    prompt = cli_prompt_json(&about);
    if (output != NULL) rc = write_files(&j, prompt);
    if (rc != CLI_OK) goto done;
    if (o->common.json)
        cli_json_print(json_incref(prompt), 0, stdout);
    else
        print_outcome(&j);
done:
    json_decref(prompt);
    cli_folder_close(&j.folder);
    pare_survey_close(&j.survey);
    cli_key_free(&j.plan);
    free(j.name);
    free(j.file);
    free(j.rgb);
    return rc;
}

/* OUTPUT/STEM for each of several clips; two of one name are told before anything is read. */
static int run_clips(frames_opts *o, const cli_key_plan *consumers, const cli_list *inputs)
{
    char stem[256], other[256], *path = NULL;
    int32_t failed = 0;
    int rc = CLI_OK;
    for (int32_t i = 0; o->output != NULL && i < inputs->n; i++) {
        cli_stem(inputs->item[i], stem, sizeof stem);
        for (int32_t k = 0; k < i; k++) {
            cli_stem(inputs->item[k], other, sizeof other);
            if (strcmp(stem, other) == 0)
                return cli_usage(&o->common, "%s and %s would both be written to %s/%s", inputs->item[k],
                                 inputs->item[i], o->output, stem);
        }
    }
    if (o->output != NULL) mkdir(o->output, 0777);
    for (int32_t i = 0; i < inputs->n && rc != CLI_STOPPED; i++) {
        cli_stem(inputs->item[i], stem, sizeof stem);
        if (o->output != NULL && asprintf(&path, "%s/%s", o->output, stem) < 0) path = NULL;
        rc = o->output != NULL && path == NULL ? CLI_FAILED : run_clip(o, consumers, inputs->item[i], path);
        failed += rc != CLI_OK;
        free(path);
        path = NULL;
    }
    return rc == CLI_STOPPED ? rc : failed == 0 ? CLI_OK : failed == inputs->n ? rc : CLI_SOME;
}

static int check_size(frames_opts *o)
{
    if (o->size == NULL) return CLI_OK;
    if (strcmp(o->size, "auto") == 0) {
        o->budget.auto_size = 1;
        return CLI_OK;
    }
    if (cli_parse_size(o->size, &o->budget.size) == 0) return CLI_OK;
    return cli_usage(&o->common, "--size: '%s' is not 'auto' or WxH within 1x1 and 16384x16384", o->size);
}

static int check(frames_opts *o, const cli_list *inputs)
{
    cli_common *c = &o->common;
    const int is_video_file = o->output != NULL && cli_has_suffix(o->output, ".mp4") && !cli_is_folder(o->output);
    if (inputs->n == 0) return cli_usage(c, "no clip given");
    if (o->budget.tokens > 0 && o->budget.keep > 0) return cli_usage(c, "--tokens and --keep exclude each other");
    if (o->pick.fps > 0 && o->pick.every > 0) return cli_usage(c, "--fps and --every exclude each other");
    if (o->output != NULL && o->output[0] == '\0') return cli_usage(c, "-o '' names no folder");
    if (cli_is_stdout(o->output)) return cli_usage(c, "-o -: frames are many files; name a folder, or FILE.mp4");
    if (is_video_file && (o->format == FORMAT_JPEG || o->format == FORMAT_PNG))
        return cli_usage(c, "-o %s is a video; name a folder for --format jpeg or png", o->output);
    if (is_video_file && inputs->n > 1)
        return cli_usage(c, "-o %s holds one clip, %d are given; name a folder", o->output, inputs->n);
    o->budget.as_clip = is_video_file || o->format == FORMAT_MP4;
    if (!(o->budget.evenness > 0)) o->budget.evenness = DEFAULT_EVENNESS;
    if (o->format == FORMAT_AUTO) o->format = FORMAT_JPEG;
    if (o->quality == 0) o->quality = DEFAULT_QUALITY;
    const int rc = check_size(o);
    return rc == CLI_OK && is_video_file ? cli_output_check(c, o->output, inputs) : rc;
}

static int run(void *opts, const cli_list *operands)
{
    frames_opts *o = opts;
    cli_key_plan consumers = {0};
    int rc = check(o, operands);
    if (rc == CLI_OK) rc = cli_key_consumers(&o->common, &o->consumer, &o->budget, &consumers);
    if (rc != CLI_OK) return rc;
    return operands->n == 1 ? run_clip(o, &consumers, operands->item[0], o->output)
                            : run_clips(o, &consumers, operands);
}

const cli_command cli_cmd_frames = {
    .name = "frames",
    .usage = "CLIP... [-o DIR|FILE.mp4] [--tokens N|--keep SHARE|--frames N] [--consumer NAME]",
    .summary = "key frames within a budget of tokens, with the prompt for whoever reads them",
    .groups = groups,
    .opts_size = sizeof(frames_opts),
    .run = run,
};
