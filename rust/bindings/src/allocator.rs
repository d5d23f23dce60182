//! Whence the core's memory comes: fast while there is enough, exact while it is short.
//!
//! Columns grow by doubling and go when a batch is written. An allocator that keeps its pages from
//! one batch to the next, and asks for huge ones, saves the system a page fault for every 4 KiB of
//! telemetry: a third of a server's time. But what it keeps is in nobody's budget, and a huge page
//! of which a block takes a corner is whole. So who has a budget says when it is short: from then
//! on what is free goes back to the system at once, and pages are as small as they can be.

use std::ffi::{c_long, c_ulong};
use std::sync::OnceLock;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The option before the first one behind it whose number the crate knows. (A test finds the time
/// there that the allocator has by default.)
const PURGE_DELAY: libmimalloc_sys::mi_option_t = libmimalloc_sys::mi_option_use_numa_nodes - 1;

/// What the process was started with: who runs it may have said something else than the defaults.
struct Inherited {
    kept_millis: c_long,
    huge_pages_disabled: c_ulong,
}

static INHERITED: OnceLock<Inherited> = OnceLock::new();

/// Says whether memory is short from now on, and gives the milliseconds for which empty pages were
/// kept until now. When it gets short, those that are kept go back to the system.
pub fn memory_is_short(is_short: bool) -> c_long {
    // SAFETY: these may be called at any time and from any thread, and the option exists.
    unsafe {
        let before = libmimalloc_sys::mi_option_get(PURGE_DELAY);
        let usual = INHERITED.get_or_init(|| Inherited {
            kept_millis: before,
            huge_pages_disabled: huge_pages_disabled(),
        });
        if is_short && before > 0 {
            // Before the delay is 0: then it looks no more for pages that it has kept.
            libmimalloc_sys::mi_collect(true);
        }
        let (millis, disabled) =
            if is_short { (0, 1) } else { (usual.kept_millis, usual.huge_pages_disabled) };
        libmimalloc_sys::mi_option_set(PURGE_DELAY, millis);
        disable_huge_pages(disabled);
        before
    }
}

/// Whether this process gets no huge pages where it has none yet: 1 or 0.
#[cfg(target_os = "linux")]
fn huge_pages_disabled() -> c_ulong {
    // SAFETY: it takes these numbers and no pointer.
    let found = unsafe { libc::prctl(libc::PR_GET_THP_DISABLE, UNUSED, UNUSED, UNUSED, UNUSED) };
    c_ulong::from(found == 1)
}

/// A system that does not know huge pages, or does not let us, goes on as it is.
#[cfg(target_os = "linux")]
fn disable_huge_pages(disabled: c_ulong) {
    // SAFETY: it takes these numbers and no pointer.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, disabled, UNUSED, UNUSED, UNUSED) };
}

#[cfg(target_os = "linux")]
const UNUSED: c_ulong = 0;

#[cfg(not(target_os = "linux"))]
fn huge_pages_disabled() -> c_ulong {
    0
}

#[cfg(not(target_os = "linux"))]
fn disable_huge_pages(_disabled: c_ulong) {}
