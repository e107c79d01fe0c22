/* What the parts of the library share: the mapping, how a call enters and leaves, and the clocks. */
#ifndef FAKENVML_FAKE_H
#define FAKENVML_FAKE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "layout.h"

typedef void *device_t;

/* nvmlReturn_t, the part used here */
enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
    TIMEOUT = 10,
    GPU_IS_LOST = 15,
    LIB_RM_VERSION_MISMATCH = 18,
    ARGUMENT_VERSION_MISMATCH = 25,
    MEMORY = 20,
    UNKNOWN = 999,
};

/* nvmlValueType_t */
enum { V_DOUBLE, V_UINT, V_ULONG, V_ULL, V_SLL, V_SINT, V_USHORT };

#define SYSTEM(name) F_##name,
#define DEVICE(name) F_##name,
enum function {
#include "functions.h"
    F_COUNT
};
#undef SYSTEM
#undef DEVICE

_Static_assert((int)F_COUNT <= FAKE_FUNCTIONS, "the tables of the mapping have room for FAKE_FUNCTIONS");
_Static_assert(FAKE_ROWS * FAKE_FUNCTIONS == 16640, "layout.h spells the product out");

union value {
    double f64;
    uint32_t u32;
    int32_t i32;
    uint64_t u64;
    int64_t i64;
};

/* One entered call. `mig` is -1 for a whole GPU, else the position of the instance. */
struct call {
    int code;
    int slot;
    int mig;
    struct gpu *gpu;
    struct control *control;
};

extern struct control *fake;

void call_enter(struct call *call, enum function function, int slot, int mig);
void call_enter_device(struct call *call, enum function function, device_t handle, int whole_gpu_only);
void call_leave(struct call *call);
int calls_in_flight(void);

device_t handle_of(const struct control *control, int slot, int mig);
int slot_of_index(uint32_t index);
void enumerate(void);
int gpu_count(void);

/* Boot-time and wall clock of the fake: real, shifted, or virtual, as the control says. */
int64_t now_ns(const struct control *control);
int64_t wall_us(const struct control *control, int64_t at_ns);

uint64_t counter_at(const struct counter *counter, int64_t at_ns);
void sleep_us(uint64_t microseconds);

/* power.c, at any time covered by the segments */
double power_watts(const struct gpu *gpu, int64_t at_ns);
double power_mean_watts(const struct gpu *gpu, int64_t from_ns, int64_t to_ns);
int power_usage_mw(const struct gpu *gpu, int64_t at_ns, uint32_t *milliwatts);
int energy_mj(const struct gpu *gpu, int64_t at_ns, uint64_t *millijoules);

/* nvlink.c: one link, or the sum over all active ones for scope UINT32_MAX */
int link_field(const struct gpu *gpu, uint32_t field, uint32_t scope, int64_t at_ns, int *type, union value *value);

int copy_string(const char *text, size_t room, char *buffer, uint32_t length);

/* Seqlock of one GPU: read again while a writer was inside. Bounded, since the writer is a test that may die. */
uint32_t read_begin(const struct gpu *gpu);
int read_again(const struct gpu *gpu, uint32_t sequence, int *attempt);

#define ENTER(function, the_slot)                                                     \
    __attribute__((cleanup(call_leave))) struct call call;                            \
    call_enter(&call, F_##function, the_slot, -1);                                    \
    if (call.code != SUCCESS)                                                         \
        return call.code

#define ENTER_DEVICE_OF(function, handle, whole)                                      \
    __attribute__((cleanup(call_leave))) struct call call;                            \
    call_enter_device(&call, F_##function, handle, whole);                            \
    if (call.code != SUCCESS)                                                         \
        return call.code;                                                             \
    struct gpu *gpu = call.gpu;                                                       \
    (void)gpu

/* The call means a whole GPU: NOT_SUPPORTED on the handle of a MIG instance. */
#define ENTER_GPU(function, handle) ENTER_DEVICE_OF(function, handle, 1)
/* The call also answers for a MIG instance. */
#define ENTER_DEVICE(function, handle) ENTER_DEVICE_OF(function, handle, 0)

#define REQUIRE(pointer)             \
    if ((pointer) == NULL)           \
    return INVALID_ARGUMENT

#define EXPORT __attribute__((visibility("default")))

#endif
