// The gate changes how a process ends: each case runs in a child process.

#include "engine/run/exit-gate.hpp"

#include <doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

using tokenlearner::ExitGate;

namespace {

/// What a child process wrote before it ended by exit().
std::string written_by(const std::function<void(int)>& work) {
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(ends[0]);
    work(ends[1]);
    std::exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[64];
  for (ssize_t n = 0; (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    text.append(buffer, static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  return text;
}

void say(int pipe, const char* word) {
  static_cast<void>(!write(pipe, word, std::char_traits<char>::length(word)));
}

}  // namespace

TEST_SUITE_BEGIN("engine/exit-gate");

TEST_CASE("exit() waits for what runs behind the gate") {
  const std::string text = written_by([](int pipe) {
    ExitGate::install();
    static std::atomic<bool> inside = false;
    std::thread([pipe] {
      const ExitGate gate;
      inside = true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      say(pipe, gate.open() ? "done" : "closed");
    }).detach();
    while (!inside) std::this_thread::yield();
  });
  CHECK(text == "done");
}

TEST_CASE("once the process is exiting the gate stays closed") {
  const std::string text = written_by([](int pipe) {
    static int out;
    out = pipe;
    // Runs after the gate's own handler: handlers run in reverse order.
    std::atexit([] { say(out, ExitGate().open() ? "open" : "closed"); });
    ExitGate::install();
  });
  CHECK(text == "closed");
}

TEST_CASE("the gate is open while the process runs, to any number of threads") {
  const std::string text = written_by([](int pipe) {
    ExitGate::install();
    const ExitGate first;
    const ExitGate second;
    say(pipe, first.open() && second.open() ? "open" : "closed");
  });
  CHECK(text == "open");
}

TEST_CASE("the child of fork() does not wait for the parent's requests") {
  const std::string text = written_by([](int pipe) {
    ExitGate::install();
    const ExitGate gate;
    const pid_t child = fork();
    if (child == 0) {
      alarm(30);
      std::exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    say(pipe, WIFEXITED(status) ? "ended" : "killed");
  });
  CHECK(text == "ended");
}

TEST_SUITE_END();
