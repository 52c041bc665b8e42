/*
 * Gets a release into a folder, and says how far it is.
 *
 *     cc -std=c99 get.c -I../include -L../../target/release -lfreshet -o get
 *     ./get https://cdn.example.com/game/demo/channels/live ed25519:KEY ./game
 */
#include <inttypes.h>
#include <stdio.h>

#include "freshet.h"

/* Comes on a thread of the job, one event at a time. */
static void on_event(void *user, const FreshetEvent *event)
{
    (void)user;
    switch (event->kind) {
    case FRESHET_RELEASE:
        printf("version %s: %" PRIu64 " bytes, of which %" PRIu64 " are to be fetched\n", event->text,
               event->total_bytes, event->fetch_bytes);
        break;
    case FRESHET_PROGRESS:
        printf("%" PRIu64 " of %" PRIu64 " bytes, %" PRIu64 " from %" PRIu32 " peers\n", event->done_bytes,
               event->total_bytes, event->peer_bytes, event->links);
        break;
    case FRESHET_INSTALLED:
        printf("installed\n");
        break;
    case FRESHET_NOTE:
        printf("note: %s\n", event->text);
        break;
    default:
        break;
    }
    fflush(stdout);
}

int main(int count, char **arguments)
{
    FreshetOptions options;
    FreshetJob *job = NULL;
    int32_t result;

    if (count != 4) {
        fprintf(stderr, "usage: %s URL KEY FOLDER\n", arguments[0]);
        return FRESHET_USAGE;
    }
    freshet_options_init(&options, sizeof options);
    options.url = arguments[1];
    options.key = arguments[2];
    options.folder = arguments[3];
    options.on_event = on_event;

    result = freshet_start(&options, &job);
    if (result == FRESHET_OK)
        result = freshet_wait(job, UINT32_MAX);
    if (result != FRESHET_OK)
        fprintf(stderr, "%s\n", freshet_last_error());
    freshet_release(job);
    return result;
}
