/* Calls every function, well and badly. Arguments: URL, key, folder. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "freshet.h"

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%d: %s (%s)\n", __LINE__, #condition, freshet_last_error());                              \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* What a callback saw. */
typedef struct Seen {
    atomic_int count[16];
    atomic_int inside;
    atomic_int result;
    atomic_int pause;
    atomic_int wait_result;
    _Atomic(FreshetJob *) job;
    pthread_t thread;
    atomic_bool has_thread;
} Seen;

/* All that wait for an event wait here. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t happened = PTHREAD_COND_INITIALIZER;

static void count(Seen *seen, int kind)
{
    pthread_mutex_lock(&mutex);
    atomic_fetch_add(&seen->count[kind], 1);
    pthread_cond_broadcast(&happened);
    pthread_mutex_unlock(&mutex);
}

static void wait_for(Seen *seen, int kind)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&mutex);
    while (atomic_load(&seen->count[kind]) == 0)
        CHECK(pthread_cond_timedwait(&happened, &mutex, &until) == 0);
    pthread_mutex_unlock(&mutex);
}

static void on_event(void *user, const FreshetEvent *event)
{
    Seen *seen = user;
    CHECK(atomic_fetch_add(&seen->inside, 1) == 0);
    CHECK(event->size == sizeof *event);
    CHECK(event->text != NULL && event->json != NULL && event->json[0] == '{');
    CHECK(event->kind >= FRESHET_LISTENING && event->kind <= FRESHET_ENDED);
    CHECK(atomic_load(&seen->count[FRESHET_ENDED]) == 0);
    if (atomic_load(&seen->has_thread))
        CHECK(pthread_equal(seen->thread, pthread_self()));
    seen->thread = pthread_self();
    atomic_store(&seen->has_thread, true);
    if (event->kind == FRESHET_PAUSED)
        atomic_store(&seen->pause, event->pause);
    if (event->kind == FRESHET_ENDED)
        atomic_store(&seen->result, event->result);
    if (event->kind == FRESHET_RELEASE) {
        CHECK(strcmp(event->text, "1.0") == 0);
        CHECK(event->total_bytes > 6000000);
    }
    if (atomic_load(&seen->job) != NULL) {
        atomic_store(&seen->wait_result, freshet_wait(atomic_load(&seen->job), 0));
        CHECK(freshet_release(atomic_load(&seen->job)) == FRESHET_USAGE);
    }
    atomic_fetch_sub(&seen->inside, 1);
    count(seen, event->kind);
}

static int says(const char *text)
{
    return strstr(freshet_last_error(), text) != NULL;
}

static void bad_options(FreshetOptions good)
{
    FreshetJob *job = NULL;
    FreshetOptions bad;
    CHECK(freshet_options_init(NULL, sizeof bad) == FRESHET_USAGE && says("options are NULL"));
    CHECK(freshet_options_init(&bad, 3) == FRESHET_USAGE && says("3 is not the size"));
    CHECK(freshet_start(NULL, &job) == FRESHET_USAGE && says("options are NULL"));
    CHECK(freshet_start(&good, NULL) == FRESHET_USAGE && says("job is NULL"));
#define BAD(field, value, expected)                                                                                    \
    do {                                                                                                               \
        bad = good;                                                                                                    \
        bad.field = value;                                                                                             \
        CHECK(freshet_start(&bad, &job) == FRESHET_USAGE && says(expected) && job == NULL);                            \
    } while (0)
    BAD(size, 0, "0 is not the size");
    BAD(size, 1u << 30, "is not the size");
    BAD(mode, 9, "mode is 9");
    BAD(goal, 9, "goal is 9");
    BAD(url, NULL, "url is NULL");
    BAD(url, "ftp://x", "");
    BAD(url, "\xff\xfe", "url is not UTF-8");
    BAD(folder, NULL, "folder is NULL");
    BAD(key, "x", "key:");
    BAD(parts, "+a,b", "parts:");
    BAD(trackers, "http://x", "must start with ws://");
    BAD(listen, "x", "listen:");
    BAD(hours, "2-3", "hours:");
    BAD(download_rate, 1000, "64000 bytes a second and more");
    BAD(look_every_ms, 10, "look_every_ms");
    CHECK(freshet_wait(NULL, 0) == FRESHET_USAGE && freshet_stop(NULL) == FRESHET_USAGE);
    CHECK(freshet_report(NULL, NULL) == FRESHET_USAGE && freshet_set_paused(NULL, true) == FRESHET_USAGE);
    CHECK(freshet_release(NULL) == FRESHET_OK && freshet_last_error()[0] == 0);
    freshet_free_string(NULL);
}

/* Programs with an older header have smaller structs, those with a newer one larger ones. */
static void other_sizes(FreshetOptions good)
{
    struct {
        FreshetOptions options;
        unsigned char later[64];
    } newer;
    struct {
        FreshetOptions options;
    } older;
    uint32_t shorter = offsetof(FreshetOptions, goal);
    char *json = NULL;
    memset(&newer, 0xff, sizeof newer);
    CHECK(freshet_options_init(&newer.options, sizeof newer) == FRESHET_OK);
    CHECK(newer.options.size == sizeof newer && newer.later[0] == 0 && newer.later[63] == 0);
    CHECK(newer.options.p2p == 1 && newer.options.sharing == 0);
    memset(&older, 0x55, sizeof older);
    CHECK(freshet_options_init(&older.options, shorter) == FRESHET_OK);
    CHECK(older.options.size == shorter && older.options.goal == 0x55555555);
    older.options.url = good.url;
    older.options.key = good.key;
    older.options.folder = good.folder;
    CHECK(freshet_plan(&older.options, &json) == FRESHET_OK && strstr(json, "\"fetch_bytes\"") != NULL);
    freshet_free_string(json);
}

int main(int number, char **arguments)
{
    static Seen again, paused, stopped;
    FreshetOptions options;
    FreshetJob *job = NULL;
    char *json = NULL;
    char other[4096];

    CHECK(number == 4 && strchr(freshet_version(), '.') != NULL);
    CHECK(freshet_options_init(&options, sizeof options) == FRESHET_OK);
    options.url = arguments[1];
    options.key = arguments[2];
    options.folder = arguments[3];
    bad_options(options);
    other_sizes(options);

    /* Steered: paused from the start, then slow, then as fast as it can. */
    options.on_event = on_event;
    options.user = &paused;
    options.hours = "00:00-00:01";
    CHECK(freshet_start(&options, &job) == FRESHET_OK);
    atomic_store(&paused.job, job);
    CHECK(freshet_set_hours(job, "25:00-26:00") == FRESHET_USAGE);
    CHECK(freshet_set_paused(job, true) == FRESHET_OK);
    CHECK(freshet_set_hours(job, NULL) == FRESHET_OK);
    wait_for(&paused, FRESHET_PAUSED);
    CHECK(atomic_load(&paused.pause) != FRESHET_NO_PAUSE);
    CHECK(freshet_wait(job, 50) == FRESHET_TIMEOUT && says("not over after 50 ms"));
    CHECK(freshet_report(job, &json) == FRESHET_USAGE && says("not over"));
    CHECK(freshet_set_download_rate(job, 1) == FRESHET_USAGE);
    CHECK(freshet_set_download_rate(job, 2000000) == FRESHET_OK);
    CHECK(freshet_set_upload_rate(job, 1) == FRESHET_OK && freshet_set_sharing(job, false) == FRESHET_OK);
    CHECK(freshet_set_while_playing(job, 1) == FRESHET_USAGE);
    CHECK(freshet_set_while_playing(job, 1000000) == FRESHET_OK && freshet_set_playing(job, true) == FRESHET_OK);
    CHECK(freshet_set_paused(job, false) == FRESHET_OK);
    wait_for(&paused, FRESHET_RESUMED);
    wait_for(&paused, FRESHET_PROGRESS);
    CHECK(freshet_set_playing(job, false) == FRESHET_OK && freshet_set_download_rate(job, 0) == FRESHET_OK);
    CHECK(freshet_wait(job, UINT32_MAX) == FRESHET_OK);
    CHECK(atomic_load(&paused.wait_result) == FRESHET_USAGE);
    CHECK(atomic_load(&paused.count[FRESHET_ENDED]) == 1 && atomic_load(&paused.count[FRESHET_INSTALLED]) == 1);
    CHECK(freshet_report(job, &json) == FRESHET_OK && strstr(json, "\"installed\":true") != NULL);
    freshet_free_string(json);
    CHECK(freshet_release(job) == FRESHET_OK);
    options.hours = NULL;

    /* There already, without a callback; then mended. */
    CHECK(freshet_verify(arguments[3], false, &json) == FRESHET_OK);
    freshet_free_string(json);
    options.on_event = NULL;
    options.user = NULL;
    CHECK(freshet_start(&options, &job) == FRESHET_OK && freshet_wait(job, UINT32_MAX) == FRESHET_OK);
    CHECK(freshet_release(job) == FRESHET_OK);
    {
        char path[4096];
        FILE *file;
        snprintf(path, sizeof path, "%s/data.pak", arguments[3]);
        file = fopen(path, "r+b");
        CHECK(file != NULL && fputc(1, file) != EOF && fclose(file) == 0);
    }
    CHECK(freshet_verify(arguments[3], false, NULL) == FRESHET_NOT_WHOLE && says("1 files are changed"));
    options.mode = FRESHET_REPAIR;
    options.on_event = on_event;
    options.user = &again;
    CHECK(freshet_start(&options, &job) == FRESHET_OK && freshet_wait(job, UINT32_MAX) == FRESHET_OK);
    CHECK(atomic_load(&again.count[FRESHET_NOTE]) == 1);
    CHECK(freshet_release(job) == FRESHET_OK);
    CHECK(freshet_verify(arguments[3], false, NULL) == FRESHET_OK);

    /* Followed until stopped; released while it runs; what fails says why. */
    options.mode = FRESHET_FOLLOW;
    options.user = &stopped;
    CHECK(freshet_start(&options, &job) == FRESHET_OK);
    wait_for(&stopped, FRESHET_INSTALLED);
    CHECK(freshet_stop(job) == FRESHET_OK && freshet_wait(job, UINT32_MAX) == FRESHET_OK);
    CHECK(freshet_release(job) == FRESHET_OK);
    memset(&stopped, 0, sizeof stopped);
    CHECK(freshet_start(&options, &job) == FRESHET_OK && freshet_release(job) == FRESHET_OK);
    CHECK(atomic_load(&stopped.count[FRESHET_ENDED]) == 1);
    options.mode = FRESHET_GET;
    options.on_event = NULL;
    options.url = "http://127.0.0.1:9/game/demo/channels/live";
    snprintf(other, sizeof other, "%s-other", arguments[3]);
    options.folder = other;
    options.give_up_after_ms = 1000;
    CHECK(freshet_start(&options, &job) == FRESHET_OK);
    CHECK(freshet_wait(job, UINT32_MAX) == FRESHET_ORIGIN && says("the origin does not deliver"));
    CHECK(freshet_release(job) == FRESHET_OK);

    CHECK(freshet_uninstall(arguments[3], true, &json) == FRESHET_OK && strstr(json, "\"kept\"") != NULL);
    freshet_free_string(json);
    CHECK(freshet_verify(arguments[3], true, &json) == FRESHET_USAGE);
    CHECK(freshet_verify(NULL, true, &json) == FRESHET_USAGE && freshet_uninstall(NULL, true, NULL) == FRESHET_USAGE);
    return 0;
}
