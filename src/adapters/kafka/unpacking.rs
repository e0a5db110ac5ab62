//! How much a compressed batch can make librdkafka allocate when it unpacks it. For zstd it has a bound of its own; for
//! gzip, snappy and lz4 only the size of the batch and the codec's best ratio bound it, and the topic bounds the size.
//! Nothing is unpacked here, and no batch is seen.

/// What may be allocated for one batch: what a gzip batch of 2 MiB can unpack to. librdkafka counts what gzip unpacks
/// to in 32 bits, so that twice this could not be read at all.
const UNPACKED_BYTES_MAX: u64 = 1032 * (2 << 20);
/// What else a response holds beside a batch.
const RESPONSE_BYTES: u64 = 1024;

/// The largest batch, in bytes, that a topic with this `compression.type` may accept, so that none of them makes a
/// reader allocate too much, or is more than it receives. `received_max`: librdkafka's `receive.message.max.bytes`.
#[must_use]
pub fn batch_bytes_max(compression: &str, received_max: u64) -> u64 {
    let received = received_max.saturating_sub(RESPONSE_BYTES);
    match best_ratio(compression) {
        Some((to, of)) => (UNPACKED_BYTES_MAX * of / to).min(received),
        None => received,
    }
}

/// So many bytes are allocated at most for so many of a batch; `None` where `receive.message.max.bytes` is the bound.
fn best_ratio(compression: &str) -> Option<(u64, u64)> {
    match compression {
        // A batch that unpacks to more fails, and stops its partition.
        "zstd" | "uncompressed" => None,
        // A copy: three bytes that stand for at most 64.
        "snappy" => Some((64, 3)),
        // A byte of a match's length stands for at most 255; the buffer grows by three quarters.
        "lz4" => Some((255 * 7, 4)),
        // A match of two bits stands for at most 258 bytes. `producer`, or what is not known, may be gzip.
        _ => Some((1032, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_the_best_ratio_the_smaller_the_largest_batch() {
        let received = 64 << 20;
        let most = |compression| batch_bytes_max(compression, received);
        assert_eq!(most("producer"), 2 << 20);
        assert_eq!(most("gzip"), 2 << 20);
        assert_eq!(most("something new"), 2 << 20);
        assert_eq!(most("lz4"), 4_849_884);
        for bounded in ["snappy", "zstd", "uncompressed"] {
            assert_eq!(most(bounded), received - 1024, "{bounded}");
        }
        assert_eq!(batch_bytes_max("gzip", 1 << 20), (1 << 20) - 1024);
    }
}
