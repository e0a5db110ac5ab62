//! `docker/`: parsed, and every name and path looked up. No image is built here: an engine can't be relied on.

use std::process::Command;

use serde_json::Value;

use crate::{page, root};

/// With what it merges by `<<` in place.
fn compose() -> Value {
    let mut yaml: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(&page("docker/compose.yaml")).unwrap();
    yaml.apply_merge().unwrap();
    serde_json::to_value(yaml).unwrap()
}

/// Names and values of a mapping; empty where there is none.
fn entries(value: &Value) -> Vec<(&String, &Value)> {
    value.as_object().into_iter().flatten().collect()
}

fn words(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn every_name_and_path_of_the_compose_file_is_there() {
    let compose = compose();
    let services = entries(&compose["services"]);
    assert!(services.len() >= 7, "{services:?}");
    for (name, service) in &services {
        let image = service["image"].as_str().unwrap();
        let build = &service["build"];
        assert!(image.contains(':') != (image == "tollbridge"), "{name}: {image} without a tag");
        if let Some(dockerfile) = build["dockerfile"].as_str() {
            let context = root().join("docker").join(build["context"].as_str().unwrap());
            assert!(context.join(dockerfile).is_file(), "{name}: {dockerfile}");
        }
        for (needed, how) in entries(&service["depends_on"]) {
            let other = services.iter().find(|(other, _)| *other == needed);
            let other = other.unwrap_or_else(|| panic!("{name} depends on {needed}")).1;
            let needs_check = how["condition"].as_str() == Some("service_healthy");
            assert!(!needs_check || other["healthcheck"].is_object(), "{needed}");
        }
        for volume in words(&service["volumes"]) {
            let volume = volume.split(':').next().unwrap();
            assert!(entries(&compose["volumes"]).iter().any(|(v, _)| *v == volume), "{volume}");
        }
        for config in service["configs"].as_array().into_iter().flatten() {
            let source = config["source"].as_str().unwrap();
            let file = compose["configs"][source]["file"].as_str().unwrap();
            assert!(root().join("docker").join(file).is_file(), "{file}");
        }
    }
    for topic in ["transactions", "tx-archived", "tx-declined", "tx-dead-letter", "tx-alerts"] {
        let made = words(&compose["services"]["topics"]["command"]).concat();
        assert!(made.contains(topic), "{topic}");
    }
}

/// Our commands can be parsed, and the configuration is right and names the services.
#[test]
fn the_containers_commands_and_configuration_are_right() {
    let compose = compose();
    let tollbridge = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_tollbridge"))
            .args(args)
            .current_dir(root())
            .env_clear()
            .output()
            .unwrap()
    };
    let mut ours = 0;
    for (name, service) in entries(&compose["services"]) {
        if service["image"].as_str() == Some("tollbridge") {
            ours += 1;
            let command = words(&service["command"]);
            let help = tollbridge(&[&command[..1], &["--help"]].concat());
            let text = String::from_utf8(help.stdout).unwrap();
            assert!(help.status.success(), "{name}: {command:?}");
            for option in command.iter().filter(|word| word.starts_with("--")) {
                assert!(text.contains(option), "{name}: {option}");
            }
        }
    }
    assert_eq!(ours, 3);
    let checked =
        tollbridge(&["check-config", "--skip-connections", "--config", "docker/tollbridge.toml"]);
    assert!(checked.status.success(), "{checked:?}");
    let config = page("docker/tollbridge.toml");
    for service in ["kafka:9092", "@postgres/", "redis:6379", "gateway-sim:9400"] {
        assert!(config.contains(service), "{service}");
        let name = service.trim_matches(['@', '/']).split(':').next().unwrap();
        assert!(compose["services"][name].is_object(), "{name}");
    }
}

/// Small and without root: two stages, the last one slim, a user of its own before the program starts.
#[test]
fn the_image_has_a_user_of_its_own_and_nothing_of_the_build() {
    let dockerfile = page("docker/Dockerfile");
    let stages: Vec<&str> = dockerfile.split("\nFROM ").skip(1).collect();
    assert_eq!(stages.len(), 2);
    let last = stages[1];
    assert!(last.starts_with("debian:bookworm-slim\n"));
    let user = last.find("\nUSER 10001").unwrap();
    assert!(user < last.find("\nENTRYPOINT [\"tollbridge\"]").unwrap());
    assert!(last.contains("COPY --from=build /out/tollbridge "));
    assert!(!last.contains("build-essential") && !last.contains("cargo"));
    let command = last.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    assert_eq!(command, "[\"run\", \"--config\", \"/etc/tollbridge/tollbridge.toml\"]");
    assert!(page(".dockerignore").lines().any(|line| line == "target"));
    let version = |text: &str, before: &str| -> Vec<u32> {
        let rest = text.split(before).nth(1).unwrap();
        let number = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.');
        number.collect::<String>().split('.').map(|part| part.parse().unwrap()).collect()
    };
    assert!(version(stages[0], "rust:") >= version(&page("Cargo.toml"), "rust-version = \""));
}
