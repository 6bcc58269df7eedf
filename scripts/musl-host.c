/*
 * What libstdc++ and libgcc need of glibc, and musl does not have. scripts/musl.mjs builds it in the place of glibc's loader, which both
 * name as a library. For its host program alone: the addon needs none of it.
 */
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

char __libc_single_threaded = 0;

/* libgcc's own, hidden in its static library. Nobody asks it here. */
struct {
  unsigned words[4];
} __cpu_model;
int __cpu_indicator_init(void) { return 0; }

/* Finds no unwinding table. The host has its own unwinder. */
int _dl_find_object(void* address, void* result) {
  (void)address;
  (void)result;
  return -1;
}

unsigned arc4random(void) {
  unsigned value = 0;
  if (getentropy(&value, sizeof value) != 0) abort();
  return value;
}

size_t __strftime_l(char* text, size_t size, const char* format, const struct tm* time, locale_t locale) {
  return strftime_l(text, size, format, time, locale);
}

/* The destructors of a thread, the newest first. */
struct Destructor {
  void (*function)(void*);
  void* object;
  struct Destructor* next;
};

static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void run_destructors(void* list) {
  for (struct Destructor* each = list; each != NULL;) {
    struct Destructor* const next = each->next;
    each->function(each->object);
    free(each);
    each = next;
  }
}

static void create_key(void) { pthread_key_create(&key, run_destructors); }

int __cxa_thread_atexit_impl(void (*function)(void*), void* object, void* library) {
  struct Destructor* const added = malloc(sizeof *added);
  (void)library;
  if (added == NULL) return -1;
  pthread_once(&once, create_key);
  *added = (struct Destructor){function, object, pthread_getspecific(key)};
  return pthread_setspecific(key, added);
}
