//! `natsguard fix`.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{Folder, all, manifests, run, run_with};

fn text(name: &str) -> String {
    fs::read_to_string(manifests().join(name)).unwrap()
}

#[test]
fn only_what_is_wrong_changes() {
    let fixed = run(&["fix", "partitioned.yaml"]);
    assert_eq!(fixed.status, 0);
    let expected = text("partitioned.yaml")
        .replace(
            "        nats://nats:6222\n",
            "        nats://nats-0.nats.messaging.svc:6222\n        \
             nats://nats-1.nats.messaging.svc:6222\n        \
             nats://nats-2.nats.messaging.svc:6222\n",
        )
        .replace(
            "  - {name: cluster, port: 6222}\n",
            "  - {name: cluster, port: 6222}\n  publishNotReadyAddresses: true\n",
        )
        .replace(
            "          name: nats-config\n  volumeClaimTemplates",
            "          name: nats-config\n      affinity:\n        podAntiAffinity:\n          \
             requiredDuringSchedulingIgnoredDuringExecution:\n          - labelSelector:\n              matchLabels:\n                \
             app: nats\n            topologyKey: kubernetes.io/hostname\n  volumeClaimTemplates",
        );
    assert_eq!(fixed.out, expected);
    assert!(
        fixed
            .err
            .contains("deny[network-filesystem]: JetStream's store lies on a network file system"),
        "{}",
        fixed.err
    );
    assert!(fixed.err.contains("warn[unbounded-store]"), "{}", fixed.err);
}

#[test]
fn repairing_twice_changes_nothing_and_nothing_fixable_is_left() {
    for name in all() {
        let once = run(&["fix", &name]);
        assert_eq!(once.status, 0, "{name}");
        let twice = run_with(&["fix", "-"], &once.out);
        assert_eq!(twice.out, once.out, "{name}");
        let check = run_with(&["check", "-o", "json", "-"], &once.out);
        let report: serde_json::Value = serde_json::from_str(&check.out).unwrap();
        assert_eq!(report["summary"]["fix"], 0, "{name}");
    }
}

#[test]
fn what_is_sound_comes_out_byte_for_byte() {
    for name in ["sound.yaml", "deployment.yaml"] {
        assert_eq!(run(&["fix", name]).out, text(name), "{name}");
        let windows = text(name).replace('\n', "\r\n");
        assert_eq!(run_with(&["fix", "-"], &windows).out, windows, "{name}");
        let unended = text(name).trim_end().to_owned();
        assert_eq!(run_with(&["fix", "-"], &unended).out, unended, "{name}");
    }
}

#[test]
fn crlf_stays_crlf() {
    let fixed = run_with(
        &["fix", "-"],
        text("partitioned.yaml").replace('\n', "\r\n"),
    )
    .out;
    assert_eq!(
        fixed.replace("\r\n", "\n"),
        run(&["fix", "partitioned.yaml"]).out
    );
    assert_eq!(fixed.matches('\n').count(), fixed.matches("\r\n").count());
}

#[test]
fn several_files_make_one_stream() {
    let stream = run(&["fix", "deployment.yaml", "sound.yaml"]).out;
    assert_eq!(
        stream,
        format!("{}---\n{}", text("deployment.yaml"), text("sound.yaml"))
    );
}

#[test]
fn a_file_is_written_in_place() {
    let folder = Folder::new();
    let path = folder.write("nats.yaml", text("partitioned.yaml"));
    let sound = folder.write(
        "sound.yaml",
        text("sound.yaml").replace("messaging", "other"),
    );
    let untouched = fs::metadata(&sound).unwrap().modified().unwrap();
    let run_in_place = run(&["fix", "--in-place", folder.0.to_str().unwrap()]);
    assert_eq!((run_in_place.status, run_in_place.out.as_str()), (0, ""));
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        run(&["fix", "partitioned.yaml"]).out
    );
    assert_eq!(fs::metadata(&sound).unwrap().modified().unwrap(), untouched);
    assert_eq!(
        fs::read_dir(&folder.0).unwrap().count(),
        2,
        "no temporary file is left"
    );
    let refused = run_with(&["fix", "--in-place", "-"], "");
    assert_eq!(refused.status, 2);
    assert!(
        refused
            .err
            .contains("standard input can't be written in place")
    );
}

#[test]
fn a_diff_shows_what_would_change() {
    let diff = run(&["fix", "--diff", "partitioned.yaml"]).out;
    assert!(
        diff.starts_with(
            "--- ./partitioned.yaml\n+++ ./partitioned.yaml\n@@ -22,7 +22,9 @@\n       port: 6222\n"
        ),
        "{diff}"
    );
    assert!(
        diff.contains(
            "\n-        nats://nats:6222\n+        nats://nats-0.nats.messaging.svc:6222\n"
        ),
        "{diff}"
    );
    assert_eq!(run(&["fix", "--diff", "sound.yaml"]).out, "");
}

#[test]
fn a_secret_is_edited_through_base64() {
    use base64::Engine as _;
    let fixed = run(&["fix", "secret.yaml"]).out;
    let line = fixed
        .lines()
        .skip_while(|line| !line.contains("nats-server.conf: |-"))
        .nth(1)
        .unwrap();
    let conf = base64::engine::general_purpose::STANDARD
        .decode(line.trim())
        .unwrap();
    let conf = String::from_utf8(conf).unwrap();
    for pod in 0..5 {
        let route = format!(
            "    nats://peer:MARKED-route-password@orders-{pod}.orders-headless.shop.svc:6222\n"
        );
        assert_eq!(conf.matches(&route).count(), 1, "{conf}");
    }
    assert!(!conf.contains("@orders:6222"), "{conf}");
}

/// Applies a diff with `patch` and with `git apply` in folders of their own; what became of the files.
fn applied(diff: &[u8], names: &[&str], before: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let programs: [&[&str]; 2] = [&["patch", "--quiet", "--binary", "-p0"], &["git", "apply"]];
    programs
        .iter()
        .map(|program| {
            let folder = Folder::new();
            for (name, text) in names.iter().zip(before) {
                folder.write(name, text);
            }
            let patch = folder.write("patch.diff", diff);
            let status = Command::new(program[0])
                .args(&program[1..])
                .env("GIT_CEILING_DIRECTORIES", std::env::temp_dir())
                .current_dir(&folder.0)
                .stdin(fs::File::open(patch).unwrap())
                .status()
                .unwrap();
            assert!(
                status.success(),
                "{program:?}: {}",
                String::from_utf8_lossy(diff)
            );
            let read = |name: &&str| fs::read(folder.0.join(name)).unwrap();
            names.iter().map(read).collect()
        })
        .collect()
}

#[test]
fn a_diff_is_applied_by_patch_and_by_git() {
    let partitioned = text("partitioned.yaml");
    let twice = format!(
        "{partitioned}---\n{}",
        partitioned.replace("messaging", "other")
    );
    let unended = partitioned.trim_end().to_owned();
    let texts = [
        partitioned.clone(),
        partitioned.replace('\n', "\r\n"),
        unended.clone(),
        unended.replace('\n', "\r\n"),
        twice,
        // A lone carriage return ends no line.
        partitioned.replace("# Any", "# \r Any"),
        text("json-form.yaml"),
        text("fragile.yaml"),
        text("sound.yaml"),
    ];
    // The last object ends the file, and the repair is at its end.
    let last = |text: &str| {
        let mut documents: Vec<&str> = text.split("---\n").collect();
        documents.swap(1, 3);
        documents.join("---\n").trim_end().to_owned()
    };
    let mut files: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    files.push(last(&partitioned).into_bytes());
    for name in [
        "nats.yaml",
        "deploy/my nats.yaml",
        "deploy/n\u{e9}\"\\.yaml",
    ] {
        for file in &files {
            let folder = Folder::new();
            folder.write(name, file);
            let in_folder = |args: &[&str]| {
                let mut command = Command::new(env!("CARGO_BIN_EXE_natsguard"));
                command.args(args).arg(name).current_dir(&folder.0);
                command.output().unwrap().stdout
            };
            let fixed = in_folder(&["fix"]);
            let diff = in_folder(&["fix", "--diff"]);
            assert_eq!(diff.is_empty(), fixed == *file, "{name}");
            if diff.is_empty() {
                continue;
            }
            for files in applied(&diff, &[name], std::slice::from_ref(file)) {
                assert!(
                    files == [fixed.as_slice()],
                    "{}",
                    String::from_utf8_lossy(&diff)
                );
            }
        }
    }
}

#[test]
fn a_diff_of_several_files_is_applied_at_once() {
    let names = ["a.yaml", "deploy/b.yaml", "deploy/sound.yaml"];
    let before = ["partitioned.yaml", "fragile.yaml", "sound.yaml"].map(text);
    let folder = Folder::new();
    for (name, text) in names.iter().zip(&before) {
        // In namespaces of their own.
        folder.write(
            name,
            text.replace("messaging", name.split('.').next().unwrap()),
        );
    }
    let read = |name: &&str| fs::read(folder.0.join(name)).unwrap();
    let before: Vec<Vec<u8>> = names.iter().map(read).collect();
    let folder_name = folder.0.to_str().unwrap();
    let in_folder = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_natsguard"));
        command
            .args(args)
            .current_dir(folder_name)
            .output()
            .unwrap()
    };
    let diff = in_folder(&["fix", "--diff", folder_name]).stdout;
    assert!(in_folder(&["fix", "--in-place", "."]).status.success());
    let fixed: Vec<Vec<u8>> = names.iter().map(read).collect();
    for files in applied(&diff, &names, &before) {
        assert!(files == fixed, "{}", String::from_utf8_lossy(&diff));
    }
}

#[test]
fn a_diff_that_would_show_a_secret_is_left_out_with_a_word() {
    let run = run(&["fix", "--diff", "secret.yaml", "fragile.yaml"]);
    assert_eq!(run.status, 0);
    assert!(run.out.starts_with("--- ./fragile.yaml\n"), "{}", run.out);
    assert!(!run.out.contains("secret.yaml"), "{}", run.out);
    assert!(
        run.err.contains(
            "natsguard: secret.yaml: its diff is left out, because it would show a Secret; run natsguard fix without --diff for the whole of secret.yaml\n"
        ),
        "{}",
        run.err
    );
}

#[test]
fn what_is_left_may_fail_the_run() {
    let status = |args: &[&str]| run(&[&["fix"], args].concat()).status;
    assert_eq!(status(&["partitioned.yaml"]), 0);
    assert_eq!(status(&["--fail-on", "deny", "partitioned.yaml"]), 1);
    assert_eq!(status(&["--fail-on", "deny", "fragile.yaml"]), 0);
    assert_eq!(status(&["--fail-on", "fix", "fragile.yaml"]), 0);
    assert_eq!(status(&["--fail-on", "warn", "partitioned.yaml"]), 1);
    assert_eq!(status(&["--fail-on", "warn", "sound.yaml"]), 0);
}

#[test]
fn places_are_those_of_the_input() {
    // The repair of the Service adds a line above what is left.
    let input = text("partitioned.yaml");
    let fix = run_with(&["fix", "-"], &input).err;
    let check = run_with(&["check", "-o", "json", "-"], &input).out;
    let check: serde_json::Value = serde_json::from_str(&check).unwrap();
    for row in check["findings"].as_array().unwrap() {
        if row["action"] != "fix" {
            let policy = row["policy"].as_str().unwrap();
            let line = fix.lines().find(|line| line.contains(policy)).unwrap();
            let expected = format!("natsguard: <stdin>:{}:{}: ", row["line"], row["column"]);
            assert!(line.starts_with(&expected), "{line}");
        }
    }
}

#[cfg(unix)]
mod in_place {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::PathBuf;

    use super::*;

    fn fixed(folder: &Folder) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_natsguard"));
        let output = command
            .args(["fix", "--in-place"])
            .arg(&folder.0)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    }

    fn is_fixed(path: impl AsRef<Path>) -> bool {
        fs::read_to_string(path).unwrap() == run(&["fix", "partitioned.yaml"]).out
    }

    #[test]
    fn a_name_that_is_no_utf_8_is_the_file_that_is_written() {
        let folder = Folder::new();
        let odd = folder.0.join(OsStr::from_bytes(b"n\xff.yaml"));
        fs::write(&odd, text("partitioned.yaml")).unwrap();
        let shown = folder.write("n\u{fffd}.yaml", "kind: Other\n");
        assert_eq!(fixed(&folder).0, Some(0));
        assert!(is_fixed(odd));
        assert_eq!(fs::read_to_string(shown).unwrap(), "kind: Other\n");
    }

    #[test]
    fn mode_and_symbolic_links_stay() {
        let folder = Folder::new();
        let file = folder.write("real.txt", text("partitioned.yaml"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let link = folder.0.join("link.yaml");
        symlink("real.txt", &link).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_natsguard"));
        command.args(["fix", "--in-place"]).arg(&link);
        assert!(command.status().unwrap().success());
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(is_fixed(&file));
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
    }

    #[test]
    fn a_file_with_several_names_is_left_alone() {
        let folder = Folder::new();
        let file = folder.write("nats.yaml", text("partitioned.yaml"));
        fs::hard_link(&file, folder.0.join("other.txt")).unwrap();
        let (status, said) = fixed(&folder);
        assert_eq!(status, Some(2));
        assert!(
            said.contains(&format!(
                "natsguard: {file}: has 2 names (hard links), which replacing it would part; print the result and write it yourself\n"
            )),
            "{said}"
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), text("partitioned.yaml"));
    }

    #[test]
    fn what_a_killed_run_left_is_in_nobodys_way() {
        let folder = Folder::new();
        let file = folder.write("nats.yaml", text("partitioned.yaml"));
        folder.write(".nats.yaml.natsguard", "half");
        assert_eq!(fixed(&folder).0, Some(0));
        assert!(is_fixed(&file));
        let names: Vec<PathBuf> = fs::read_dir(&folder.0)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(names, [PathBuf::from(&file)]);
    }
}
