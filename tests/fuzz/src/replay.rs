//! The corpus, input by input, on the ordinary compiler. Nothing new is looked for.

use std::path::Path;

use super::{TARGETS, target};

/// Inputs of a target, by name.
fn inputs(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
    let mut inputs: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|why| panic!("{}: {why}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    inputs.sort();
    inputs
}

#[test]
fn every_input_of_the_corpus_keeps_its_properties() {
    let mut broken = Vec::new();
    for target in TARGETS {
        let inputs = inputs(target.name);
        assert!(inputs.len() >= 8, "{}: {} inputs", target.name, inputs.len());
        for (path, bytes) in inputs {
            if std::panic::catch_unwind(|| (target.run)(&bytes)).is_err() {
                broken.push(path);
            }
        }
    }
    assert!(broken.is_empty(), "what broke stands above, in turn: {broken:#?}");
}

/// Every input cut off at each byte, and with each byte changed: what transport and tired hands do.
#[test]
fn every_input_cut_or_changed_keeps_its_properties() {
    const BYTES_MAX: usize = 128;
    for target in TARGETS {
        for (path, bytes) in inputs(target.name) {
            for at in 0..bytes.len().min(BYTES_MAX) {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << (at % 8);
                let both = || [&bytes[..at], &changed].map(target.run);
                assert!(std::panic::catch_unwind(both).is_ok(), "{path}: byte {at}, see above");
            }
        }
    }
}

#[test]
fn every_folder_of_the_corpus_is_a_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for entry in std::fs::read_dir(corpus).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(target(&name).is_some(), "{name}");
    }
}
