/* Samples of one series as Prometheus' head would have cut them: XOR chunks of 120 samples.
 *
 * Python says what a series did in each slot of time; the samples are made and packed here, because there are a
 * thousand million of them.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { SAMPLES_PER_CHUNK = 120, XOR = 1 };

typedef struct {
    uint8_t *at;
    uint64_t word; /* the next eight bytes */
    int room;      /* bits that are still free in it */
} Bits;

static void flush(Bits *bits) {
    uint64_t word = __builtin_bswap64(bits->word);
    memcpy(bits->at, &word, sizeof word);
}

static void put(Bits *bits, uint64_t value, int count) {
    if (count < bits->room) {
        bits->room -= count;
        bits->word |= value << bits->room;
        return;
    }
    int rest = count - bits->room;
    bits->word |= value >> rest;
    flush(bits);
    bits->at += sizeof bits->word;
    bits->room = 64 - rest;
    bits->word = rest ? value << bits->room : 0;
}

static int uvarint(uint8_t *out, uint64_t value) {
    int size = 0;
    for (; value > 0x7f; value >>= 7) out[size++] = (uint8_t)(value | 0x80);
    out[size++] = (uint8_t)value;
    return size;
}

static int varint(uint8_t *out, int64_t value) {
    return uvarint(out, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

/* CRC-32C, as the index and the chunks carry it. */
uint32_t crc32c(const uint8_t *data, int64_t size) {
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t n = 0; n < 256; n++) {
            uint32_t crc = n;
            for (int k = 0; k < 8; k++) crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
            table[n] = crc;
        }
    uint32_t crc = ~0u;
    for (int64_t n = 0; n < size; n++) crc = table[(crc ^ data[n]) & 0xff] ^ crc >> 8;
    return ~crc;
}

static void put_bytes(Bits *bits, const uint8_t *bytes, int count) {
    for (int n = 0; n < count; n++) put(bits, bytes[n], 8);
}

static uint64_t raw(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Samples at start, start + step, ...: the second differences of their times are all zero, one bit each. */
static int64_t pack(int64_t start, int64_t step, const double *values, int count, uint8_t *out) {
    uint8_t bytes[10];
    out[0] = (uint8_t)(count >> 8);
    out[1] = (uint8_t)count;
    Bits bits = {out + 2, 0, 64};
    int lead = 0xff, trail = 0;
    for (int n = 0; n < count; n++) {
        if (n == 0) {
            put_bytes(&bits, bytes, varint(bytes, start));
            put(&bits, raw(values[0]), 64);
            continue;
        }
        if (n == 1)
            put_bytes(&bits, bytes, uvarint(bytes, (uint64_t)step));
        else
            put(&bits, 0, 1);
        uint64_t delta = raw(values[n]) ^ raw(values[n - 1]);
        put(&bits, delta != 0, 1);
        if (!delta) continue;
        int leading = __builtin_clzll(delta), trailing = __builtin_ctzll(delta);
        if (leading > 31) leading = 31;
        int fits = lead != 0xff && leading >= lead && trailing >= trail;
        put(&bits, !fits, 1);
        if (!fits) {
            lead = leading;
            trail = trailing;
            put(&bits, (uint64_t)lead, 5);
            put(&bits, (uint64_t)(64 - lead - trail) & 63, 6);
        }
        put(&bits, delta >> trail, 64 - lead - trail);
    }
    flush(&bits);
    return bits.at - out + (64 - bits.room + 7) / 8;
}

/* Chunks of one series, and what the index says of them. Returns the bytes of `meta`; *size takes those of `out`. */
int64_t encode(int64_t start, int64_t step, const double *values, int64_t count, uint64_t ref, uint8_t *out,
               int64_t *size, uint8_t *meta) {
    uint8_t *const began = out, *const told = meta;
    int64_t last = 0;
    meta += uvarint(meta, (uint64_t)((count + SAMPLES_PER_CHUNK - 1) / SAMPLES_PER_CHUNK));
    uint64_t before = 0;
    for (int64_t done = 0; done < count; done += SAMPLES_PER_CHUNK) {
        int part = (int)(count - done < SAMPLES_PER_CHUNK ? count - done : SAMPLES_PER_CHUNK);
        int64_t first = start + done * step;
        uint64_t here = ref + (uint64_t)(out - began);
        uint8_t body[SAMPLES_PER_CHUNK * 12]; /* a sample takes 78 bits at most */
        int64_t length = pack(first, step, values + done, part, body + 1);
        body[0] = XOR;
        out += uvarint(out, (uint64_t)length);
        memcpy(out, body, (size_t)length + 1);
        uint32_t crc = __builtin_bswap32(crc32c(body, length + 1));
        memcpy(out + length + 1, &crc, 4);
        out += length + 5;
        meta += done ? uvarint(meta, (uint64_t)(first - last)) : varint(meta, first);
        meta += uvarint(meta, (uint64_t)(part - 1) * (uint64_t)step);
        meta += done ? varint(meta, (int64_t)(here - before)) : uvarint(meta, here);
        last = first + (part - 1) * step;
        before = here;
    }
    *size = out - began;
    return meta - told;
}

/* A number in -1..1 that depends on nothing but its place. */
static double wobble(uint64_t seed) {
    seed = (seed + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    seed = (seed ^ seed >> 27) * 0x94d049bb133111ebu;
    return (double)(int64_t)(seed ^ seed >> 31) / 9.3e18;
}

/* A counter that grows by slots[n] during slot n, unevenly from sample to sample; first is the time since slot 0. */
void counter(const double *slots, int64_t slot, int64_t first, int64_t step, int64_t count, double parts,
             uint64_t seed, double *out) {
    int64_t at = 0;
    double sum = 0;
    for (int64_t n = 0; n < count; n++) {
        int64_t time = first + n * step;
        for (; (at + 1) * slot <= time; at++) sum += slots[at];
        double gone = (double)(time - at * slot) / (double)slot;
        double shaken = gone + wobble(seed ^ (uint64_t)time) * gone * (1 - gone) * 0.06;
        out[n] = slots[at] == 0 ? rint(sum * parts) / parts : rint((sum + slots[at] * shaken) * parts) / parts;
    }
}

/* A gauge that is about values[n] during slot n. */
void gauge(const double *values, int64_t slot, int64_t first, int64_t step, int64_t count, double noise,
           uint64_t seed, double *out) {
    for (int64_t n = 0; n < count; n++) {
        int64_t time = first + n * step;
        out[n] = values[time / slot] * (1 + noise * wobble(seed ^ (uint64_t)time));
    }
}
