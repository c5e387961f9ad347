//! Asks the kernel to back large memory with huge pages, so that a random access costs one cache miss and no walk
//! through page tables (several misses more, and twice as many in a virtual machine).
//!
//! Advice only: where transparent huge pages are off (`/sys/kernel/mm/transparent_hugepage/enabled` = never), or no
//! huge page is free, everything works as before.

/// Memory of this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// Where it begins.
    pub address: usize,
    /// How long it is.
    pub bytes: usize,
}

/// `MADV_COLLAPSE` (Linux 6.1), which the libc crate does not name for every target.
const MADV_COLLAPSE: libc::c_int = 25;

/// Bytes of a small page; what is smaller than a huge page is left alone.
const PAGE_BYTES: usize = 4_096;
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Asks for huge pages under the whole pages of a region, now for what is touched already and later for the rest.
pub fn advise(region: Region) {
    let begin = region.address.next_multiple_of(PAGE_BYTES);
    let end = (region.address + region.bytes) / PAGE_BYTES * PAGE_BYTES;
    if end.saturating_sub(begin) < HUGE_PAGE_BYTES {
        return;
    }
    for advice in [libc::MADV_HUGEPAGE, MADV_COLLAPSE] {
        // SAFETY: neither advice changes what is in memory, for any address: the kernel copies pages as they are, and
        // refuses (EINVAL, ENOMEM) what is not mapped.
        let _ = unsafe { libc::madvise(begin as *mut libc::c_void, end - begin, advice) };
    }
}
