// What differs between operating systems. posix.cpp is for Linux (glibc and musl) and macOS, windows.cpp for
// Windows. Strings are UTF-8. Any thread, unless it says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace tokenlearner::platform {

// Environment and paths.

/** A variable of the process's environment, which `process.env` changes. Empty if it is not set. */
std::optional<std::string> environment_variable(const char* name);

std::filesystem::path path_from(const std::string& text);
std::string text_of(const std::filesystem::path& path);

// Shared libraries. They stay open until the process ends, unless close_library() closes them.

/** The library of NVIDIA's driver. */
extern const char* const kCudaDriver;

/** A library's file name, for example "libtorch_cpu.so" or "torch_cpu.dll" for "torch_cpu". */
std::string library_file(const std::string& name);

/** Opens a library. If that fails, returns null and sets `problem` to the system's text. */
void* open_library(const std::filesystem::path& file, std::string& problem);

/** The descriptor of a new file in memory whose content may be run. -1 if there is none: Linux alone has such files. */
int memory_file(const char* name) noexcept;

/** Closes a library. Its code must not run any more. */
void close_library(void* library) noexcept;

/** A function of an opened library or, except on Windows, of its dependencies. Null if there is none. */
void* find_symbol(void* library, const char* name);

/** The folder of a library that this process has loaded, by its file name. Empty if it has not. */
std::string folder_of_loaded(const std::string& file_name);

/** Keeps the library with this code in memory, even if the host closes it: its threads run until the end. */
void keep_loaded();

// Memory.

/** Bytes of a page of memory. */
std::size_t page_size();

/** New pages, all zero. Null if memory is short. `bytes` is a multiple of page_size(). */
void* map_pages(std::size_t bytes) noexcept;

/** Frees what map_pages() returned, with the same size. */
void unmap_pages(void* base, std::size_t bytes) noexcept;

/** Both numbers in bytes. `bytes` is a multiple of `alignment`. Null if memory is short. */
void* allocate_aligned(std::size_t alignment, std::size_t bytes) noexcept;

/** Frees what allocate_aligned() returned. Null does nothing. */
void free_aligned(void* memory) noexcept;

/** The C library keeps freed memory. Returns it to the system, where the C library can do that. */
void return_free_memory() noexcept;

// Threads.

/** Thread stacks have at least so many bytes. glibc's default; it is 128 KB with musl, 512 KB on macOS. */
inline constexpr std::size_t kStackBytes = 8 << 20;

using ThreadHandle = std::uintptr_t;

/**
 * Calls main(argument) on a new thread named "tokenlearner". The thread handles no signals: they belong to
 * the host. False if the system allows no further thread. Each thread must be joined once.
 */
bool start_thread(ThreadHandle& thread, void (*main)(void*), void* argument) noexcept;
void join_thread(ThreadHandle thread) noexcept;

/**
 * Makes the calling thread one that computes for long: one that wakes to answer an event, such as Node's event loop, gets a
 * processor before it. Its share of the processors stays the same. Does nothing on systems without such a class of threads,
 * where the host has given the thread a class of its own, and under a filter of system calls outside a container.
 */
void become_batch_thread() noexcept;

/** True on the thread that runs main(). On Windows always false. */
bool is_main_thread();

/**
 * True if other threads still run when exit() calls the exit handlers of a shared library. On Windows they
 * have ended by then, maybe while they held a lock, so a handler must not wait for them.
 */
extern const bool kThreadsOutliveExit;

/** Calls `handler` in the child of each later fork(). On Windows there is no fork(). */
void call_after_fork(void (*handler)());

// The processor.

struct Cores {
  /** Physical cores that this process may use. At least 1. */
  int count;
  /** True if an affinity mask forbids others. */
  bool has_affinity;
};

Cores usable_cores();

struct CpuQuota {
  /** CPU time per time, not rounded. Infinity without a quota. */
  double cpus;
  /** The source: "cgroup", or on Windows "job". */
  const char* source;
};

CpuQuota cpu_quota();

/** Bytes of a core's data cache of level 1 or 2. 0 if the system does not tell. */
std::size_t cache_bytes(int level);

/**
 * Asks the system for the tile registers of AMX, for the whole process. False if it refuses, and on systems other than
 * Linux.
 */
bool request_tile_registers();

}  // namespace tokenlearner::platform
