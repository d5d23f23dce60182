//! Whence the core's memory comes: fast while there is enough, exact while it is short.
//!
//! Columns grow by doubling and go when a batch is written. An allocator that keeps its pages from
//! one batch to the next, and asks for huge ones, saves the system a page fault for every 4 KiB of
//! telemetry: a third of a server's time. But what it keeps is in nobody's budget, and a huge page
//! of which a block takes a corner is whole. So who has a budget says when it is short: from then
//! on what is free goes back to the system at once, and pages are as small as they can be.

use std::ffi::c_long;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long empty pages are kept while there is enough memory.
const KEPT_MILLIS: c_long = 1000;

/// The option before the first one behind it whose number the crate knows. (A test finds the time
/// there that the allocator has by default.)
const PURGE_DELAY: libmimalloc_sys::mi_option_t = libmimalloc_sys::mi_option_use_numa_nodes - 1;

/// Says whether memory is short from now on, and gives the milliseconds for which empty pages were
/// kept until now. When it gets short, those that are kept go back to the system.
pub fn memory_is_short(is_short: bool) -> c_long {
    // SAFETY: these may be called at any time and from any thread, and the option exists.
    unsafe {
        let before = libmimalloc_sys::mi_option_get(PURGE_DELAY);
        if is_short && before > 0 {
            // Before the delay is 0: then it looks no more for pages that it has kept.
            libmimalloc_sys::mi_collect(true);
        }
        libmimalloc_sys::mi_option_set(PURGE_DELAY, if is_short { 0 } else { KEPT_MILLIS });
        spare_huge_pages(is_short);
        before
    }
}

/// Whether this process gets huge pages where it has none yet; a system that does not know them,
/// or does not let us, goes on as it is.
#[cfg(target_os = "linux")]
fn spare_huge_pages(is_short: bool) {
    let disable = std::ffi::c_ulong::from(is_short);
    let unused: std::ffi::c_ulong = 0;
    // SAFETY: it takes these numbers and no pointer.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, disable, unused, unused, unused) };
}

#[cfg(not(target_os = "linux"))]
fn spare_huge_pages(_is_short: bool) {}
