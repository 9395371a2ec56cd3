/* What one run costs in C: the calls session.run makes, without Python. Reads a count per line from standard input, makes
 * that many runs of MODEL on one float input of N elements, and prints the nanoseconds of one. */
#include <skiff/skiff.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void need(skiff_status s) {
  if (s != SKIFF_OK) {
    fprintf(stderr, "floor: %s\n", skiff_last_error());
    exit(1);
  }
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  int64_t n = atoll(argv[2]);
  float* x = calloc((size_t)n, sizeof *x);
  skiff_options* options;
  skiff_session* session;
  need(skiff_options_create(&options));
  need(skiff_options_set(options, "threads", "1"));
  need(skiff_session_load(argv[1], options, &session));
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    long count = atol(line);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (long i = 0; i < count; ++i) {
      skiff_value *in, *out = NULL;
      need(skiff_tensor_wrap(SKIFF_FLOAT, &n, 1, x, (size_t)n * sizeof *x, &in));
      const skiff_value* ins[] = {in};
      need(skiff_run(session, ins, 1, &out, 1, NULL));
      skiff_value_free(in);
      skiff_value_free(out);
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%.1f\n", ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) / (double)count);
    fflush(stdout);
  }
  skiff_session_free(session);
  skiff_options_free(options);
  free(x);
  return 0;
}
