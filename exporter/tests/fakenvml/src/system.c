/* The mapping's life, nvmlInit and nvmlShutdown, versions, and the error names. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fake.h"

#ifndef FAKE_NVML_VERSION
#define FAKE_NVML_VERSION "580.1"
#endif
#ifndef FAKE_NVML_BUILD
#define FAKE_NVML_BUILD ""
#endif

struct control *fake;
static int references;
static int order[FAKE_GPUS];
static int order_count = -1;

int initialised(void)
{
    return __atomic_load_n(&references, __ATOMIC_ACQUIRE) > 0;
}

static struct control *map_control(const char *path)
{
    struct stat status;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        return NULL;
    struct control *control = MAP_FAILED;
    if (fstat(file, &status) == 0 && status.st_size == (off_t)sizeof(struct control))
        control = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (control != MAP_FAILED)
        madvise(control, sizeof(struct control), MADV_RANDOM); /* sparse: reading ahead would fetch holes */
    if (control == MAP_FAILED || control->magic != FAKE_MAGIC || control->layout != FAKE_LAYOUT ||
        control->size != sizeof(struct control)) {
        fprintf(stderr, "fake libnvidia-ml: %s is no control file of layout %d (%zu bytes)\n", path, FAKE_LAYOUT,
                sizeof(struct control));
        return NULL;
    }
    return control;
}

/* Points this process at another control file, or at none (NULL). Back to uninitialised either way. */
EXPORT int fake_nvml_attach(const char *path)
{
    struct control *next = path == NULL ? NULL : map_control(path);
    struct control *last = __atomic_exchange_n(&fake, next, __ATOMIC_SEQ_CST);
    int open_here = __atomic_exchange_n(&references, 0, __ATOMIC_SEQ_CST);
    order_count = -1;
    if (last != NULL) {
        __atomic_sub_fetch(&last->open_inits, (uint32_t)open_here, __ATOMIC_SEQ_CST);
        if (calls_in_flight() == 0) /* a hung call still reads the old mapping: it then stays mapped */
            munmap(last, sizeof(struct control));
    }
    return path == NULL || next != NULL ? SUCCESS : DRIVER_NOT_LOADED;
}

EXPORT uint64_t fake_nvml_control_size(void)
{
    return sizeof(struct control);
}

EXPORT const char *fake_nvml_build(void)
{
    return FAKE_NVML_BUILD;
}

/* The kernel closes a process's driver handles when it exits; the count must not outlive it either. */
__attribute__((destructor)) static void close_at_exit(void)
{
    if (fake != NULL)
        __atomic_sub_fetch(&fake->open_inits, (uint32_t)references, __ATOMIC_SEQ_CST);
}

static int64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t now_ns(const struct control *control)
{
    if (control->clock_mode == 1)
        return __atomic_load_n(&control->virtual_ns, __ATOMIC_ACQUIRE);
    return read_clock(CLOCK_BOOTTIME) + control->clock_offset_ns;
}

/* The distance of wall and boot clock is fixed in the control file, so that a sample keeps its timestamp. */
int64_t wall_us(const struct control *control, int64_t at_ns)
{
    return (at_ns + control->wall_origin_ns) / 1000;
}

uint64_t counter_at(const struct counter *counter, int64_t at_ns)
{
    double grown = counter->per_second * (double)(at_ns - counter->origin_ns) * 1e-9;
    return counter->base + (grown > 0 ? (uint64_t)grown : 0);
}

void enumerate(void)
{
    const struct control *control = fake;
    order_count = 0;
    for (uint32_t index = 0; index < control->gpu_slots; index++)
        for (uint32_t slot = 0; slot < control->gpu_slots; slot++)
            if (control->gpus[slot].present && control->gpus[slot].index == index)
                order[order_count++] = (int)slot;
}

int gpu_count(void)
{
    const struct control *control = fake;
    int count = 0;
    if (control->enumerate_at_init)
        return order_count;
    for (uint32_t slot = 0; slot < control->gpu_slots; slot++)
        count += control->gpus[slot].present != 0;
    return count;
}

int slot_of_index(uint32_t index)
{
    const struct control *control = fake;
    if (control->enumerate_at_init)
        return (int)index < order_count ? order[index] : -1;
    for (uint32_t slot = 0; slot < control->gpu_slots; slot++)
        if (control->gpus[slot].present && control->gpus[slot].index == index)
            return (int)slot;
    return -1;
}

static void attach_from_environment(void)
{
    const char *path = getenv("FAKE_NVML_CONTROL");
    if (__atomic_load_n(&fake, __ATOMIC_ACQUIRE) == NULL && path != NULL)
        fake_nvml_attach(path);
}

static int initialise(enum function function)
{
    attach_from_environment();
    __attribute__((cleanup(call_leave))) struct call call;
    call_enter(&call, function, -1, -1);
    if (call.control == NULL)
        return DRIVER_NOT_LOADED;
    if (call.code != SUCCESS)
        return call.code;
    if (call.control->kernel_version[0] != 0 && strcmp(call.control->kernel_version, FAKE_NVML_VERSION) != 0)
        return LIB_RM_VERSION_MISMATCH;
    __atomic_add_fetch(&call.control->open_inits, 1, __ATOMIC_SEQ_CST);
    if (__atomic_add_fetch(&references, 1, __ATOMIC_SEQ_CST) == 1)
        enumerate();
    return SUCCESS;
}

EXPORT int nvmlInit(void)
{
    return initialise(F_nvmlInit);
}

EXPORT int nvmlInit_v2(void)
{
    return initialise(F_nvmlInit_v2);
}

EXPORT int nvmlInitWithFlags(uint32_t flags)
{
    (void)flags;
    return initialise(F_nvmlInitWithFlags);
}

EXPORT int nvmlShutdown(void)
{
    ENTER(nvmlShutdown, -1);
    __atomic_sub_fetch(&references, 1, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&call.control->open_inits, 1, __ATOMIC_SEQ_CST);
    return SUCCESS;
}

int copy_string(const char *text, size_t room, char *buffer, uint32_t length)
{
    REQUIRE(buffer);
    size_t used = strnlen(text, room);
    if (used + 1 > length)
        return INSUFFICIENT_SIZE;
    memcpy(buffer, text, used);
    buffer[used] = 0;
    return SUCCESS;
}

EXPORT int nvmlSystemGetDriverVersion(char *version, uint32_t length)
{
    ENTER(nvmlSystemGetDriverVersion, -1);
    const char *told = call.control->driver_version;
    return copy_string(told[0] ? told : FAKE_NVML_VERSION, sizeof call.control->driver_version, version, length);
}

EXPORT int nvmlSystemGetNVMLVersion(char *version, uint32_t length)
{
    ENTER(nvmlSystemGetNVMLVersion, -1);
    const char *told = call.control->nvml_version;
    return copy_string(told[0] ? told : "13." FAKE_NVML_VERSION, sizeof call.control->nvml_version, version, length);
}

EXPORT int nvmlSystemGetCudaDriverVersion(int *version)
{
    ENTER(nvmlSystemGetCudaDriverVersion, -1);
    REQUIRE(version);
    *version = call.control->cuda_version;
    return SUCCESS;
}

EXPORT int nvmlSystemGetCudaDriverVersion_v2(int *version)
{
    ENTER(nvmlSystemGetCudaDriverVersion_v2, -1);
    REQUIRE(version);
    *version = call.control->cuda_version;
    return SUCCESS;
}

EXPORT int nvmlUnitGetCount(uint32_t *count)
{
    ENTER(nvmlUnitGetCount, -1);
    REQUIRE(count);
    *count = 0;
    return SUCCESS;
}

EXPORT const char *nvmlErrorString(int code)
{
    static const char *const names[] = {
        "Success", "Uninitialized", "Invalid Argument", "Not Supported", "Insufficient Permissions",
        "Already Initialized", "Not Found", "Insufficient Size", "Insufficient External Power", "Driver Not Loaded",
        "Timeout", "Interrupt Request Issue", "NVML Shared Library Not Found", "Function Not Found",
        "Corrupted infoROM", "GPU is lost", "GPU requires reset", "The operating system has blocked the request",
        "Driver/library version mismatch", "In use", "Insufficient Memory", "No data",
        "The requested vgpu operation is not available on target device because ECC is enabled",
        "Insufficient resources", "Requested frequency is not supported", "Argument version mismatch", "Deprecated",
        "Not ready", "GPU not found", "Invalid state",
    };
    struct call call;
    call_enter(&call, F_nvmlErrorString, -1, -1);
    call_leave(&call);
    if (code < 0 || code >= (int)(sizeof names / sizeof names[0]))
        return "Unknown Error";
    return names[code];
}
