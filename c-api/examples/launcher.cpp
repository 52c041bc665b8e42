// A launcher without a window: says what an update takes, gets it, and follows what is typed meanwhile: p pauses, r goes on,
// g says that the game is played and e that it is not any more, q quits.
//
//     c++ -std=c++17 launcher.cpp -I../include -L../../target/release -lfreshet -o launcher
//     ./launcher https://cdn.example.com/game/demo/channels/live ed25519:KEY ./game

#include <iostream>
#include <memory>
#include <thread>

#include "freshet.hpp"

namespace {

void show(const freshet::Event &event)
{
    switch (event.kind) {
    case FRESHET_PROGRESS:
        std::cout << event.done_bytes << " of " << event.total_bytes << " bytes\n";
        break;
    case FRESHET_PAUSED:
        std::cout << "paused\n";
        break;
    case FRESHET_RESUMED:
        std::cout << "going on\n";
        break;
    case FRESHET_INSTALLED:
        std::cout << "version is installed\n";
        break;
    default:
        break;
    }
}

// The job outlives this: who types may do so when it is over.
void follow(std::shared_ptr<freshet::Job> job)
{
    for (std::string line; std::getline(std::cin, line);) {
        switch (line.empty() ? ' ' : line[0]) {
        case 'p':
            job->set_paused(true);
            break;
        case 'r':
            job->set_paused(false);
            break;
        case 'g':
            job->set_playing(true);
            break;
        case 'e':
            job->set_playing(false);
            break;
        case 'q':
            job->stop();
            return;
        default:
            std::cout << "p, r, g, e or q\n";
        }
    }
}

} // namespace

int main(int count, char **arguments)
{
    if (count != 4) {
        std::cerr << "usage: " << arguments[0] << " URL KEY FOLDER\n";
        return FRESHET_USAGE;
    }
    try {
        freshet::Options options(arguments[1], arguments[3]);
        options.key = arguments[2];
        std::cout << freshet::plan(options) << '\n';
        auto job = std::make_shared<freshet::Job>(options, show);
        std::thread(follow, job).detach();
        job->wait();
        std::cout << job->report() << '\n';
        auto [is_whole, found] = freshet::verify(arguments[3], false);
        std::cout << found << std::endl;
        return is_whole ? FRESHET_OK : FRESHET_NOT_WHOLE;
    } catch (const freshet::Error &error) {
        std::cerr << error.what() << '\n';
        return error.code();
    }
}
