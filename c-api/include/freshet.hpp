// Freshet for C++17: what freshet.h says, with owners for what is handed out and exceptions for what fails.
//
//     freshet::Options options("https://cdn.example.com/game/demo/channels/live", "./game");
//     options.key = "ed25519:...";
//     freshet::Job job(options, [](const freshet::Event &event) { ... });
//     job.set_playing(true);
//     job.wait();

#ifndef FRESHET_HPP
#define FRESHET_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "freshet.h"

namespace freshet {

// What failed: a FreshetResult, and why.
class Error : public std::runtime_error {
public:
    Error(std::int32_t code, const std::string &message) : std::runtime_error(message), code_(code) {}

    std::int32_t code() const noexcept { return code_; }

private:
    std::int32_t code_;
};

// What happened, and how far the job is; valid until the callback returns.
using Event = FreshetEvent;

// What a job is to do; what is not set is as freshet_options_init has it.
struct Options {
    Options(std::string url_, std::string folder_) : url(std::move(url_)), folder(std::move(folder_))
    {
        freshet_options_init(&values, sizeof values);
    }

    std::string url;
    std::string folder;
    std::optional<std::string> key;
    std::optional<std::string> parts;
    std::optional<std::string> trackers;
    std::optional<std::string> mirrors;
    std::optional<std::string> state_folder;
    std::optional<std::string> listen;
    std::optional<std::string> hours;
    // Numbers and flags. Its texts and its callback are set by what uses these options.
    FreshetOptions values;

    // As the library takes them; valid as long as this is.
    FreshetOptions filled() const
    {
        auto text = [](const std::optional<std::string> &text) { return text ? text->c_str() : nullptr; };
        FreshetOptions filled = values;
        filled.url = url.c_str();
        filled.folder = folder.c_str();
        filled.key = text(key);
        filled.parts = text(parts);
        filled.trackers = text(trackers);
        filled.mirrors = text(mirrors);
        filled.state_folder = text(state_folder);
        filled.listen = text(listen);
        filled.hours = text(hours);
        return filled;
    }
};

namespace detail {

inline void check(std::int32_t result)
{
    if (result != FRESHET_OK)
        throw Error(result, freshet_last_error());
}

// Takes over a text that the library handed out.
inline std::string take(char *text)
{
    std::unique_ptr<char, void (*)(char *)> owner(text, freshet_free_string);
    return text ? std::string(text) : std::string();
}

} // namespace detail

// A job. It is stopped and waited for when this ends; never let that happen in its own callback.
class Job {
public:
    // Called on one thread of the job, never twice at once. What it throws ends with it.
    using Callback = std::function<void(const Event &)>;

    explicit Job(const Options &options, Callback callback = {}) : callback_(new Callback(std::move(callback)))
    {
        FreshetOptions filled = options.filled();
        filled.on_event = &Job::called;
        filled.user = callback_.get();
        FreshetJob *job = nullptr;
        detail::check(freshet_start(&filled, &job));
        job_.reset(job);
    }

    // Waits until it is over; throws where it did not go well.
    void wait() { detail::check(freshet_wait(job_.get(), UINT32_MAX)); }

    // Whether it is over within that time; throws where it did not go well.
    bool wait_for(std::chrono::milliseconds time)
    {
        std::int32_t result = freshet_wait(job_.get(), static_cast<std::uint32_t>(time.count()));
        if (result == FRESHET_TIMEOUT)
            return false;
        detail::check(result);
        return true;
    }

    void stop() { detail::check(freshet_stop(job_.get())); }
    void set_paused(bool is_paused) { detail::check(freshet_set_paused(job_.get(), is_paused)); }
    void set_playing(bool is_playing) { detail::check(freshet_set_playing(job_.get(), is_playing)); }
    void set_sharing(bool is_sharing) { detail::check(freshet_set_sharing(job_.get(), is_sharing)); }
    // Bytes a second; 0: nothing is fetched while the game is played.
    void set_while_playing(std::uint64_t rate) { detail::check(freshet_set_while_playing(job_.get(), rate)); }
    // Bytes a second; 0: no bound.
    void set_download_rate(std::uint64_t rate) { detail::check(freshet_set_download_rate(job_.get(), rate)); }
    // Bytes a second; 0: no bound.
    void set_upload_rate(std::uint64_t rate) { detail::check(freshet_set_upload_rate(job_.get(), rate)); }
    // Like 02:00-08:00; none: all.
    void set_hours(const std::optional<std::string> &hours)
    {
        detail::check(freshet_set_hours(job_.get(), hours ? hours->c_str() : nullptr));
    }

    // What it did, as JSON, once it is over.
    std::string report() const
    {
        char *json = nullptr;
        detail::check(freshet_report(job_.get(), &json));
        return detail::take(json);
    }

private:
    struct Release {
        void operator()(FreshetJob *job) const noexcept { freshet_release(job); }
    };

    static void called(void *user, const FreshetEvent *event) noexcept
    {
        try {
            const Callback &callback = *static_cast<const Callback *>(user);
            if (callback)
                callback(*event);
        } catch (...) {
            // No exception may enter the library.
        }
    }

    // Outlives the job, which is released first.
    std::unique_ptr<Callback> callback_;
    std::unique_ptr<FreshetJob, Release> job_;
};

// What a job with these options would fetch, write and need, as JSON.
inline std::string plan(const Options &options)
{
    FreshetOptions filled = options.filled();
    char *json = nullptr;
    detail::check(freshet_plan(&filled, &json));
    return detail::take(json);
}

// Whether an installation is what its signed manifest says, and what is not, as JSON.
inline std::pair<bool, std::string> verify(const std::string &folder, bool is_fast)
{
    char *json = nullptr;
    std::int32_t result = freshet_verify(folder.c_str(), is_fast, &json);
    std::string found = detail::take(json);
    if (result != FRESHET_NOT_WHOLE)
        detail::check(result);
    return {result == FRESHET_OK, found};
}

// Removes an installation; what stayed, as JSON.
inline std::string uninstall(const std::string &folder, bool is_changed_removed)
{
    char *json = nullptr;
    detail::check(freshet_uninstall(folder.c_str(), is_changed_removed, &json));
    return detail::take(json);
}

} // namespace freshet

#endif // FRESHET_HPP
