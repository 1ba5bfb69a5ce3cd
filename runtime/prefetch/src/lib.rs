//! Asks the processor for memory before it is needed.
//!
//! A lookup in a large table waits for memory twice, for its index and for its entry. Several lookups
//! that do not depend on each other can wait together, if their memory is asked for first. That changes
//! when memory arrives and nothing else, so it is the same program with and without it.
//!
//! The request is an instruction that the language offers as an unsafe function only, because it takes
//! any address. Here it takes a reference. This crate is the only one with unsafe code.

/// Bytes that the processor fetches at once.
const LINE_SIZE_BYTES: usize = 64;

/// Lines of a value that are asked for. Of a longer one the rest follows when it is read: processors
/// notice that somebody reads on.
const LINE_COUNT_MAX: usize = 2;

/// Asks for the memory of a value that will be read or changed soon. Does nothing on processors for which
/// there is no such request here.
///
/// # Examples
///
/// ```
/// let numbers: Vec<u64> = (0..1_000).collect();
/// floodmark_prefetch::prefetch(&numbers[700]);
/// assert_eq!(numbers[700], 700);
/// ```
#[inline]
pub fn prefetch<T>(value: &T) {
    let start = std::ptr::from_ref(value).cast::<i8>();
    let len = size_of::<T>().min(LINE_COUNT_MAX * LINE_SIZE_BYTES);
    for offset in (0..len).step_by(LINE_SIZE_BYTES) {
        prefetch_line(start.wrapping_byte_add(offset));
    }
    // A value may begin in the middle of a line, and end in one more.
    prefetch_line(start.wrapping_byte_add(len.saturating_sub(1)));
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[expect(unsafe_code, reason = "an instruction that can do no harm")]
fn prefetch_line(address: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: the instruction neither reads nor writes as far as the program can see, whatever the
    // address, and never faults. Every x86-64 processor has it.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline]
fn prefetch_line(_: *const i8) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_any_size_stay_as_they_are() {
        let (nothing, small, large) = ((), 7_u8, [3_u64; 100]);
        prefetch(&nothing);
        prefetch(&small);
        prefetch(&large);
        assert_eq!((small, large), (7, [3; 100]));
    }
}
