// Freshet: gets releases from an origin and from other players, and shares them where the player agrees.
//
// Made by cbindgen from c-api/src; `FRESHET_WRITE_HEADER=1 cargo test -p freshet-c-api` makes it anew.
//
// Rules for all of it:
//   Strings and paths are UTF-8 and end with a zero. What is passed in is copied; NULL means that there is none.
//   Structs begin with their size, so that programs go on with newer libraries, and the other way round:
//   freshet_options_init fills in all that the caller does not know of.
//   Functions that return int32_t return a FreshetResult. Where it is not FRESHET_OK, freshet_last_error says why, in
//   the same thread. No exception and no panic leaves the library; none may be thrown into it.
//   All functions may be called from any thread, those about one job too, but freshet_release comes last, and
//   freshet_release and freshet_wait never come from a callback.


#ifndef FRESHET_H
#define FRESHET_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// How it went. The numbers are those of the program's exit codes.
enum FreshetResult
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Well.
    FRESHET_OK = 0,
    // Badly, for another reason than those below.
    FRESHET_FAILED = 1,
    // The caller asked for what makes no sense.
    FRESHET_USAGE = 2,
    // The origin cannot be reached, and no peer could stand in for it.
    FRESHET_ORIGIN = 10,
    // A key, signature or hash is not what it must be.
    FRESHET_FORGED = 11,
    // The channel's pointer is expired, or older than one seen before.
    FRESHET_OUTDATED = 12,
    // The disk is full.
    FRESHET_DISK_FULL = 13,
    // The folder cannot be written.
    FRESHET_NOT_WRITABLE = 14,
    // The port to listen on is taken.
    FRESHET_PORT_IN_USE = 15,
    // Something of an installation is not what it must be.
    FRESHET_NOT_WHOLE = 20,
    // The library failed in a way that it should not; the job is lost, what was fetched is not.
    FRESHET_INTERNAL = 30,
    // The time to wait is over, and the job is not.
    FRESHET_TIMEOUT = 31,
    // Stopped before the release was installed.
    FRESHET_STOPPED = 130,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum FreshetResult FreshetResult;
#else
typedef int32_t FreshetResult;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What a job does.
enum FreshetMode
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Gets or updates a release in a folder, and ends.
    FRESHET_GET = 0,
    // Keeps a folder at what a channel shows, until stopped.
    FRESHET_FOLLOW = 1,
    // Hashes what is installed, and gets what is not as it must be. The version stays.
    FRESHET_REPAIR = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum FreshetMode FreshetMode;
#else
typedef int32_t FreshetMode;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What a job optimises for.
enum FreshetGoal
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Never slower than HTTP alone.
    FRESHET_SPEED = 0,
    // As few bytes from the origin as the publisher's slack allows.
    FRESHET_OFFLOAD = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum FreshetGoal FreshetGoal;
#else
typedef int32_t FreshetGoal;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What happened.
enum FreshetEventKind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Links to peers are accepted at `text`.
    FRESHET_LISTENING = 1,
    // The release is known: its version is `text`; `total_bytes`, and `fetch_bytes` that are going to be fetched.
    FRESHET_RELEASE = 2,
    // How far it is; about four times a second.
    FRESHET_PROGRESS = 3,
    // The release is installed; sharing may go on.
    FRESHET_INSTALLED = 4,
    // The channel shows another version, `text`.
    FRESHET_NEW_VERSION = 5,
    // Nothing is done until `pause` has passed.
    FRESHET_PAUSED = 6,
    // The job goes on after a pause.
    FRESHET_RESUMED = 7,
    // Something that the player should know: `text`.
    FRESHET_NOTE = 8,
    // The job is over, well or not: `result` says so, and `text` why. Always the last one, and there is always one.
    FRESHET_ENDED = 9,
    // The channel prepares a version that can be fetched ahead of its time, `text`.
    FRESHET_NEW_PRELOAD = 10,
    // A sealed version, `text`, is being fetched ahead of its time; progress is about it. `total_bytes`, and `fetch_bytes`
    // that are not here yet.
    FRESHET_PRELOAD = 11,
    // A sealed version, `text`, is here. It opens when the channel tells its key.
    FRESHET_PRELOADED = 12,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum FreshetEventKind FreshetEventKind;
#else
typedef int32_t FreshetEventKind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Why a job is paused.
enum FreshetPause
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // It is not.
    FRESHET_NO_PAUSE = 0,
    // The launcher wants it so.
    FRESHET_PAUSE_ASKED = 1,
    // The game is played.
    FRESHET_PAUSE_PLAYING = 2,
    // It is not the time of the day.
    FRESHET_PAUSE_HOURS = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum FreshetPause FreshetPause;
#else
typedef int32_t FreshetPause;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A job. It ends when it is released, at the latest.
typedef struct FreshetJob FreshetJob;

// What happened, and how far the job is. Valid, with its texts, until the callback returns.
typedef struct FreshetEvent {
    // Size of this struct in the library: fields beyond it are not there.
    uint32_t size;
    // A FreshetEventKind. There may be more in newer libraries; pass over those.
    int32_t kind;
    // A FreshetResult, where the job has ended.
    int32_t result;
    // A FreshetPause.
    int32_t pause;
    // Bytes of the release that are here.
    uint64_t done_bytes;
    // Bytes of the release.
    uint64_t total_bytes;
    // Bytes that are going to be fetched for it, or were to be.
    uint64_t fetch_bytes;
    // Verified bytes that came from peers.
    uint64_t peer_bytes;
    // Verified bytes that came from the origin.
    uint64_t origin_bytes;
    // Bytes that were here already.
    uint64_t local_bytes;
    // Bytes handed to peers.
    uint64_t sent_bytes;
    // Links to peers.
    uint32_t links;
    // What is left free for later.
    uint32_t reserved;
    // Words, by kind; never NULL.
    const char *text;
    // All of it, as `freshet-node --json` prints it; never NULL.
    const char *json;
} FreshetEvent;

// Is called with each event, on one thread of the job, and never twice at once. What it takes holds the next events up,
// and not the job.
// NULL where nobody wants to know.
typedef void (*FreshetEventCallback)(void *user, const struct FreshetEvent *event);

// What a job is to do. Filled in by freshet_options_init; `url`, `folder` and, at the first use of a folder, `key` are to be
// set.
typedef struct FreshetOptions {
    // Size of this struct, as freshet_options_init was told.
    uint32_t size;
    // A FreshetMode.
    int32_t mode;
    // A channel (https://host/game/demo/channels/live) or a root (https://host/game/demo/roots/HASH).
    const char *url;
    // The installation folder; made if missing.
    const char *folder;
    // The tenant's public key, ed25519:...; remembered in the folder.
    const char *key;
    // Parts to install, as `freshet-node get --parts`. NULL: what is installed stays so.
    const char *parts;
    // Trackers instead of those that the channel names: addresses, ws:// or wss://, with spaces between them.
    const char *trackers;
    // Folder for the node's identity. NULL: a new one each time.
    const char *state_folder;
    // UDP address to accept links at. NULL: `[::]:0`, any port, IPv6 and IPv4.
    const char *listen;
    // Hours of the day at which something may be done, like 02:00-08:00 by the local clock. NULL: all.
    const char *hours;
    // Most bytes a second to fetch, from all together, at least 64000. 0: no bound.
    uint64_t download_rate;
    // Most bytes a second to hand out. 0: no bound.
    uint64_t upload_rate;
    // Most bytes to hand out in all. 0: no bound.
    uint64_t upload_bytes;
    // How long to share after the install, in milliseconds. UINT64_MAX: until stopped.
    uint64_t seed_ms;
    // How often, about, FRESHET_FOLLOW asks the origin what the channel shows, in milliseconds, from 1000. 0: never.
    uint64_t look_every_ms;
    // After how long without anything from anyone a job ends whose origin fails, in milliseconds; ten times as long where the
    // origin takes requests and is silent, as in a crowd.
    uint64_t give_up_after_ms;
    // Is called with what happens. May be NULL.
    FreshetEventCallback on_event;
    // Is passed to `on_event`.
    void *user;
    // A FreshetGoal.
    int32_t goal;
    // Whether peers are used: 0 or 1, as all that follows.
    uint8_t p2p;
    // Whether something is handed to peers: ask the player first. Off by default.
    uint8_t sharing;
    // Whether installed files that look untouched are hashed, too.
    uint8_t verify;
    // Whether browsers may link over WebTransport, where this node shares.
    uint8_t web_transport;
    // Whether to make WebRTC data channels, where this node shares.
    uint8_t web_rtc;
    // Base URLs where the same content can be had, each ending in a slash, with spaces between them: asked in this order
    // where the origin in `url` fails, refuses, or lacks what is needed. NULL: none.
    const char *mirrors;
} FreshetOptions;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Says why the last function that was called in this thread failed. The text is valid until the next call in it; after
// one that did not fail it is empty.
const char *freshet_last_error(void);

// Frees a text that a function handed out through a `char **`. NULL is well.
//
// # Safety
// `text` was handed out by this library, and not freed before.
void freshet_free_string(char *text);

// The library's version, like "0.1.0".
const char *freshet_version(void);

// Fills in the defaults. `size` is sizeof(FreshetOptions), as the caller's header has it.
//
// # Safety
// `options` may be written to, as far as `size`.
int32_t freshet_options_init(struct FreshetOptions *options, uint32_t size);

// Starts a job. It is handed out through `job`, and is to be released.
//
// # Safety
// `options` is as freshet_options_init filled it in, with texts that end with a zero; `job` may be written to. The callback
// may be called, with `user`, until the job is released.
int32_t freshet_start(const struct FreshetOptions *options,
                      struct FreshetJob **job);

// Waits until the job is over, at most `timeout_ms` milliseconds (UINT32_MAX: as long as it takes): how it went, or
// FRESHET_TIMEOUT.
//
// # Safety
// `job` was handed out by freshet_start, and not released.
int32_t freshet_wait(const struct FreshetJob *job,
                     uint32_t timeout_ms);

// Ends the job, within two seconds, and does not wait for that. What was fetched is kept.
//
// # Safety
// `job` was handed out by freshet_start, and not released.
int32_t freshet_stop(const struct FreshetJob *job);

// Hands out what a job did that is over, as JSON, like the last line of `freshet-node --json`.
//
// # Safety
// `job` was handed out by freshet_start, and not released; `json` may be written to.
int32_t freshet_report(const struct FreshetJob *job, char **json);

// Ends the job if it is not over, waits for that, and frees it. No callback comes after this. NULL is well.
//
// # Safety
// `job` is NULL, or was handed out by freshet_start and not released; nobody uses it at the same time, or later.
int32_t freshet_release(struct FreshetJob *job);

// Pauses the job, or lets it go on. A paused job has no connections, and keeps what it has.
//
// # Safety
// `job` was handed out by freshet_start, and not released.
int32_t freshet_set_paused(const struct FreshetJob *job, bool is_paused);

// Says whether the game is played: nothing is handed out or installed then, and what is fetched
// freshet_set_while_playing bounds.
//
// # Safety
// `job` was handed out by freshet_start, and not released.
int32_t freshet_set_playing(const struct FreshetJob *job, bool is_playing);

// Sets what is fetched while the game is played: so many bytes a second, at least 64000, or 0: nothing, as at first.
//
// # Safety
// `job` was handed out by freshet_start, and not released.
int32_t freshet_set_while_playing(const struct FreshetJob *job,
                                  uint64_t bytes_per_second);

// Bounds what is fetched from all together, in bytes a second, at least 64000; 0: no bound.
//
// # Safety
// `job` was handed out by freshet_start, and not released.
int32_t freshet_set_download_rate(const struct FreshetJob *job, uint64_t bytes_per_second);

// Bounds what is handed to peers, in bytes a second; 0: no bound.
//
// # Safety
// `job` was handed out by freshet_start, and not released.
int32_t freshet_set_upload_rate(const struct FreshetJob *job, uint64_t bytes_per_second);

// Says whether something is handed to peers. Ask the player first.
//
// # Safety
// `job` was handed out by freshet_start, and not released.
int32_t freshet_set_sharing(const struct FreshetJob *job, bool is_sharing);

// Sets the hours of the day at which something may be done, like 02:00-08:00 by the local clock; NULL: all.
//
// # Safety
// `job` was handed out by freshet_start, and not released; `hours` is NULL, or ends with a zero.
int32_t freshet_set_hours(const struct FreshetJob *job, const char *hours);

// Says what a job with these options would fetch, write and need, as JSON like `freshet-node plan --json`, and fetches none
// of it.
//
// # Safety
// As for freshet_start; `json` is NULL, or may be written to.
int32_t freshet_plan(const struct FreshetOptions *options,
                     char **json);

// Compares an installation with its signed manifest, as JSON like `freshet-node verify --json`: FRESHET_OK, or
// FRESHET_NOT_WHOLE. With `is_fast`, files that look as they were left are believed.
//
// # Safety
// `folder` ends with a zero; `json` is NULL, or may be written to.
int32_t freshet_verify(const char *folder,
                       bool is_fast,
                       char **json);

// Removes an installation, and all that the node kept in its folder; what the player changed stays, unless
// `is_changed_removed`. Says what stayed, as JSON.
//
// # Safety
// `folder` ends with a zero; `json` is NULL, or may be written to.
int32_t freshet_uninstall(const char *folder, bool is_changed_removed, char **json);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FRESHET_H */
