//! Where macOS' frameworks are for a linker elsewhere, which has no names of them.

use std::env::var;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_for_macos = var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "macos");
    let is_on_macos = var("HOST").is_ok_and(|host| host.contains("apple"));
    if is_for_macos && !is_on_macos {
        let here = var("CARGO_MANIFEST_DIR").expect("cargo sets it");
        let frameworks = Path::new(&here).join("macos");
        println!("cargo:rustc-link-search=framework={}", frameworks.display());
    }
}
