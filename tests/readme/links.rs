//! Links within the repository lead somewhere, headings included.

use std::path::{Path, PathBuf};

use crate::{page, root};

/// Pages that are linked to before they are there.
const TO_COME: [&str; 1] = ["docs/measured.md"];

const PAGES: [&str; 13] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "docs/configuration.md",
    "docs/features.md",
    "docs/gateway-sim.md",
    "docs/gateways.md",
    "docs/guarantees.md",
    "docs/metrics.md",
    "docs/operating.md",
    "docs/performance.md",
    "docs/reconcile.md",
    "schemas/README.md",
];

/// As GitHub makes them.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().replace(' ', "-")
}

fn has_heading(text: &str, wanted: &str) -> bool {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .any(|line| anchor(line.trim_start_matches('#')) == wanted)
}

/// Targets of `[…](target)`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            assert!(out.pop(), "{} leads out of the repository", path.display());
        } else {
            out.push(part);
        }
    }
    out
}

#[test]
fn links_lead_somewhere() {
    let mut count = 0;
    for path in PAGES {
        let text = page(path);
        for target in targets(&text).filter(|target| !target.starts_with("http")) {
            count += 1;
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => PathBuf::from(path),
                file => normal(&Path::new(path).with_file_name("").join(file)),
            };
            if TO_COME.iter().any(|to_come| Path::new(to_come) == file) {
                continue;
            }
            assert!(root().join(&file).exists(), "{path} links to {target}");
            if !heading.is_empty() {
                let there = page(file.to_str().unwrap());
                assert!(has_heading(&there, heading), "{path} links to {target}");
            }
        }
    }
    assert!(count > 20, "{count}");
}

/// No page is forgotten.
#[test]
fn every_page_is_looked_at() {
    for folder in ["", "docs", "schemas"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                let path = Path::new(folder).join(name);
                let path = path.to_str().unwrap();
                assert!(PAGES.contains(&path) || TO_COME.contains(&path), "{path}");
            }
        }
    }
}
