/* SPDX-License-Identifier: MIT */
/* pare: the command. Finds the subcommand, parses its options from its tables, starts the runtime, runs it.
 * Exit codes: 0 ok, 1 failure, 2 usage, 3 some inputs failed, 4 input unreadable, 5 model missing or wrong,
 * 130 interrupted. stdout carries results only, stderr log lines and progress. */
#include <stdlib.h>
#include <string.h>

#include "session.h"

static const cli_command *const commands[] = {
    &cli_cmd_reduce, &cli_cmd_heatmap, &cli_cmd_compare, &cli_cmd_bench, &cli_cmd_trace,
    &cli_cmd_tokens, &cli_cmd_frames,  &cli_cmd_list,    &cli_cmd_info,  NULL};

static const cli_command *find_command(const char *name)
{
    for (int i = 0; commands[i] != NULL; i++)
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    return NULL;
}

static int print_help(FILE *out)
{
    fputs("pare COMMAND [OPTIONS] ...: fewer visual tokens for ViTs and multimodal LLMs\n\n", out);
    for (int i = 0; commands[i] != NULL; i++) fprintf(out, "  %-9s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\npare COMMAND --help explains a command, pare --version the library.\n"
          "Exit codes: 0 ok, 1 failure, 2 usage, 3 some inputs failed, 4 input unreadable, 5 model, 130 interrupted.\n",
          out);
    return CLI_OK;
}

static int unknown_command(const char *name)
{
    const char *names[sizeof commands / sizeof *commands];
    int32_t n = 0;
    for (; commands[n] != NULL; n++) names[n] = commands[n]->name;
    const char *near = cli_nearest(name, names, n);
    if (near != NULL)
        fprintf(stderr, "pare: unknown command '%s'; did you mean '%s'?\n", name, near);
    else
        fprintf(stderr, "pare: unknown command '%s'; pare --help lists them\n", name);
    return CLI_USAGE;
}

static int start_runtime(cli_common *c)
{
    pare_error err = {0};
    pare_runtime_opts opts = {.struct_size = sizeof opts, .log = cli_log, .log_user = c};
    if (pare_runtime_init(&opts, &err) != 0) return cli_fail(c, &err, CLI_FAILED);
    return CLI_OK;
}

static int print_version(void)
{
    cli_common c = {0};
    pare_error err = {0};
    pare_runtime_info info = {.struct_size = sizeof info};
    if (start_runtime(&c) != CLI_OK) return CLI_FAILED;
    if (pare_runtime_get(&info, &err) != 0) return cli_fail(&c, &err, CLI_FAILED);
    printf("pare %s\n%s, core %s (best here: %s), %d thread%s of its own\n%s, %d CPUs, vector kernels %s\n",
           pare_version(), info.blas, info.blas_core, info.blas_core_best, info.blas_threads,
           info.blas_threads == 1 ? "" : "s", info.cpu, info.n_cpu, info.vector_kernels);
    return cli_close_stdout(&c, CLI_OK);
}

static int run_command(const cli_command *command, int argc, char **argv)
{
    cli_args args = {
        .command = command->name, .usage = command->usage, .summary = command->summary, .groups = command->groups};
    cli_common *c = calloc(1, command->opts_size);
    int rc = CLI_FAILED;
    if (c == NULL) goto done;
    c->argc = argc;
    c->argv = argv;
    rc = cli_args_parse(&args, argc - 2, argv + 2, c);
    if (rc == 0 && args.help)
        cli_args_help(&args, stdout);
    else if (rc == 0 && (rc = start_runtime(c)) == 0)
        rc = command->run(c, &args.operands);
    rc = cli_close_stdout(c, rc);
    cli_args_free(&args, c);
done:
    free(c);
    return rc;
}

int main(int argc, char **argv)
{
    cli_common c = {0};
    cli_catch_signals();
    if (argc < 2) {
        print_help(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0) return print_version();
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0)
        return cli_close_stdout(&c, print_help(stdout));
    const cli_command *command = find_command(argv[1]);
    return command != NULL ? run_command(command, argc, argv) : unknown_command(argv[1]);
}
