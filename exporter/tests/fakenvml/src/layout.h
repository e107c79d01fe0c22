/* What the control file holds, byte for byte.
 *
 * The test process writes this mapping while the program under test calls the library, so the layout
 * is shared by both: control.py reads THIS file and builds the same ctypes structures from it. Keep to
 * what that reader knows: `#define NAME number`, `struct name {`, one `type field[count];` a line,
 * fixed-width types or structs defined above, `};`.
 */
#ifndef FAKENVML_LAYOUT_H
#define FAKENVML_LAYOUT_H

#include <stdint.h>

#define FAKE_MAGIC 0x6c6d766e656b6166
#define FAKE_LAYOUT 1
#define FAKE_GPUS 64
#define FAKE_ROWS 65
#define FAKE_FUNCTIONS 256
#define FAKE_PROCESSES 10240
#define FAKE_SEGMENTS 256
#define FAKE_EVENTS 64
#define FAKE_FANS 8
#define FAKE_LINKS 36
#define FAKE_INSTANCES 8
#define FAKE_FIELDS 320
#define FAKE_GPM_METRICS 480
#define FAKE_INSTANCE_GPM_METRICS 64
#define FAKE_PAGES 64

/* A stretch of one power waveform; valid until the next segment's start. */
struct segment {
    int64_t start_ns;
    uint32_t kind;
    uint32_t reserved;
    double first;
    double second;
    double period_s;
    double duty;
    double start_mj;
};

/* A counter that grows by itself: base + per_second * (now - origin). */
struct counter {
    uint64_t base;
    double per_second;
    int64_t origin_ns;
};

struct process {
    uint32_t pid;
    uint32_t kinds;
    uint64_t used_bytes;
    uint32_t gpu_instance_id;
    uint32_t compute_instance_id;
    uint32_t sm_percent;
    uint32_t memory_percent;
    uint32_t encoder_percent;
    uint32_t decoder_percent;
    uint32_t jpeg_percent;
    uint32_t ofa_percent;
    uint64_t sampled_us;
    uint64_t start_us;
    uint64_t run_ms;
    char name[64];
};

struct event {
    uint64_t type;
    uint64_t data;
    uint32_t gpu_instance_id;
    uint32_t compute_instance_id;
};

struct fault {
    int32_t code;
    uint32_t flags;
    uint32_t delay_us;
    uint32_t hanging;
    uint64_t leak_bytes;
    uint64_t remaining;
};

struct field {
    uint32_t set;
    uint32_t code;
    uint32_t type;
    uint32_t reserved;
    uint64_t bits;
};

struct link {
    uint32_t active;
    uint32_t version;
    uint32_t remote_type;
    uint32_t speed_mbps;
    struct counter transmit_kib;
    struct counter receive_kib;
    uint64_t errors[5];
    char remote_bus_id[32];
};

struct instance {
    char uuid[96];
    char name[96];
    uint32_t gpu_instance_id;
    uint32_t compute_instance_id;
    uint32_t multiprocessors;
    uint32_t gpu_slices;
    uint32_t compute_slices;
    uint32_t copy_engines;
    uint64_t memory_total;
    uint64_t memory_used;
    uint64_t memory_reserved;
    uint64_t memory_free;
    double gpm[FAKE_INSTANCE_GPM_METRICS];
};

struct gpu {
    /* odd while the writer is inside; readers of more than one value retry */
    uint32_t sequence;
    uint32_t present;
    uint32_t index;
    uint32_t absent_code;
    char uuid[96];
    char name[96];
    char serial[32];
    char pci_bus_id[32];
    char vbios[32];
    char part_number[80];
    char gsp_version[64];
    uint32_t pci_device_id;
    uint32_t pci_subsystem_id;
    uint32_t minor;
    uint32_t brand;
    uint32_t architecture;
    uint32_t cuda_major;
    uint32_t cuda_minor;
    uint32_t board_id;
    uint32_t cores;
    uint32_t memory_bus_bits;
    uint32_t numa_node;

    uint32_t segment_count;
    struct segment segments[FAKE_SEGMENTS];
    int64_t energy_step_ns;
    int64_t energy_offset_mj;
    int64_t energy_frozen_mj;
    uint32_t energy_frozen;
    uint32_t energy_code;
    int64_t power_window_ns;
    int64_t power_override_mw;
    int64_t memory_power_mw;
    int64_t module_power_mw;
    int64_t sample_period_ns;
    uint32_t sample_count;
    uint32_t sample_mean;

    uint32_t power_limit_mw;
    uint32_t power_limit_enforced_mw;
    uint32_t power_limit_default_mw;
    uint32_t power_limit_min_mw;
    uint32_t power_limit_max_mw;
    uint32_t power_limit_requested_mw;

    uint32_t gpu_percent;
    uint32_t memory_percent;
    uint32_t encoder_percent;
    uint32_t decoder_percent;
    uint32_t jpeg_percent;
    uint32_t ofa_percent;
    uint32_t encoder_sessions;
    uint32_t encoder_fps;
    uint32_t encoder_latency_us;

    uint64_t memory_total;
    uint64_t memory_used;
    uint64_t memory_reserved;
    uint64_t memory_free;
    uint64_t bar1_total;
    uint64_t bar1_used;

    int32_t temperature;
    int32_t temperature_peak;
    int32_t temperature_margin;
    uint32_t memory_temperature;
    uint32_t thresholds[8];
    int32_t tlimits[4];
    uint32_t fan_count;
    uint32_t fan_percent[FAKE_FANS];
    uint32_t fan_rpm[FAKE_FANS];
    uint32_t clock_mhz[4];
    uint32_t clock_max_mhz[4];
    uint32_t performance_state;
    uint64_t event_reasons;
    uint64_t event_reasons_supported;
    struct counter violation_ns[12];
    struct counter throttle_ns[3];

    uint32_t persistence_mode;
    uint32_t compute_mode;
    uint32_t ecc_mode;
    uint32_t ecc_pending;
    uint32_t accounting_mode;
    uint32_t display_active;
    uint32_t display_mode;
    uint32_t recovery_action;

    uint64_t ecc_total[4];
    uint64_t ecc_location[32];
    uint32_t retired_count[2];
    uint64_t retired_pages[128];
    uint32_t retired_pending;
    uint32_t remapped[4];
    uint32_t remap_histogram[5];

    uint32_t pcie_generation;
    uint32_t pcie_generation_max;
    uint32_t pcie_width;
    uint32_t pcie_width_max;
    uint32_t pcie_replays;
    uint32_t pcie_sleep_us;
    uint32_t pcie_transmit_kib_per_second;
    uint32_t pcie_receive_kib_per_second;
    struct counter pcie_transmit_bytes;
    struct counter pcie_receive_bytes;

    uint32_t link_count;
    struct link links[FAKE_LINKS];

    uint32_t mig_mode;
    uint32_t mig_pending;
    uint32_t mig_maximum;
    uint32_t mig_generation;
    uint32_t instance_count;
    struct instance instances[FAKE_INSTANCES];

    uint32_t gpm_supported;
    uint32_t gpm_races;
    double gpm[FAKE_GPM_METRICS];

    struct field fields[FAKE_FIELDS];

    uint64_t supported_events;
    uint64_t event_head;
    struct event events[FAKE_EVENTS];

    uint32_t process_count;
    uint32_t process_growth;
    uint32_t process_phantoms;
    uint32_t process_period_us;
    struct process processes[FAKE_PROCESSES];
};

struct control {
    uint64_t magic;
    uint32_t layout;
    uint32_t clock_mode;
    uint64_t size;
    int64_t virtual_ns;
    int64_t wall_origin_ns;
    int64_t clock_offset_ns;
    uint32_t gpu_slots;
    uint32_t enumerate_at_init;
    int32_t cuda_version;
    uint32_t open_inits;
    uint32_t event_sets;
    uint32_t gpm_samples;
    char driver_version[80];
    char kernel_version[80];
    char nvml_version[80];
    uint32_t in_flight[FAKE_ROWS];
    uint32_t in_flight_peak[FAKE_ROWS];
    uint64_t calls[16640];
    struct fault faults[16640];
    struct gpu gpus[FAKE_GPUS];
};

#endif
