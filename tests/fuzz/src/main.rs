//! The fuzzer: the target that `FUZZ_TARGET` names, on inputs that libFuzzer makes up. Options are libFuzzer's.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tollbridge_fuzz::{TARGETS, Target, target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let names = TARGETS.map(|target| target.name).join(", ");
    target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET is {name:?}; it must be one of {names}"))
});

fuzz_target!(|data: &[u8]| (TARGET.run)(data));
