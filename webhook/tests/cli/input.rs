//! Which files are read, and what is said of the others.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Folder, Run, manifests, run, run_with};

/// The text of a deployment with faults that `fix` repairs.
fn fragile() -> String {
    fs::read_to_string(manifests().join("fragile.yaml")).unwrap()
}

/// Runs a command on a folder; its name is `DIR` in what is printed.
fn on(folder: &Folder, args: &[&str]) -> Run {
    let path = folder.0.to_str().unwrap();
    let args: Vec<String> = args.iter().map(|arg| arg.replace("DIR", path)).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let run = run(&args);
    Run {
        status: run.status,
        out: run.out.replace(path, "DIR"),
        err: run.err.replace(path, "DIR"),
    }
}

/// How many objects were read.
fn objects(folder: &Folder, paths: &[&str]) -> u64 {
    let args = [&["check", "-o", "json"], paths].concat();
    let report: Value = serde_json::from_str(&on(folder, &args).out).unwrap();
    report["summary"]["objects"].as_u64().unwrap()
}

fn config_map(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

fn make_fifo(path: &str) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn what_is_no_file_is_read_when_it_is_named_and_passed_over_in_a_folder() {
    let folder = Folder::new();
    folder.write("a.yaml", config_map("a"));
    let fifo = folder.0.join("fifo.yaml").to_str().unwrap().to_owned();
    make_fifo(&fifo);
    let _socket = UnixListener::bind(folder.0.join("socket.yaml")).unwrap();
    let whole = on(&folder, &["check", "DIR"]);
    assert_eq!(
        (whole.status, whole.err.as_str()),
        (
            0,
            "natsguard: DIR/fifo.yaml: this is no file; passed over: name it to have it read (1 more like it)\n"
        )
    );
    let writer = std::thread::spawn({
        let fifo = fifo.clone();
        move || fs::write(fifo, config_map("from-a-fifo")).unwrap()
    });
    assert_eq!(objects(&folder, &[&fifo]), 1);
    writer.join().unwrap();
}

#[test]
fn what_has_no_end_is_read_to_a_bound() {
    for command in ["check", "fix"] {
        let endless = run(&[command, "/dev/zero"]);
        assert_eq!(
            (endless.status, endless.err.as_str()),
            (
                2,
                "natsguard: /dev/zero: can't be read: it has more than 64 MiB: split it, or leave out what is not about NATS\n"
            )
        );
    }
}

#[test]
fn links_are_followed_inside_of_the_folder() {
    let outside = Folder::new();
    outside.write("b.yaml", config_map("b"));
    let folder = Folder::new();
    folder.write("sub/a.yaml", config_map("a"));
    folder.write("sub/template.txt", config_map("c"));
    let link = |target: &str, name: &str| symlink(target, folder.0.join(name)).unwrap();
    link("..", "sub/up");
    link(".", "loop");
    link("loop.yaml", "loop.yaml");
    link("sub/a.yaml", "again.yaml");
    link("sub/template.txt", "c.yaml");
    link(outside.0.join("b.yaml").to_str().unwrap(), "b.yaml");
    link(outside.0.to_str().unwrap(), "outside");
    let whole = on(&folder, &["check", "-o", "json", "DIR"]);
    assert_eq!(whole.status, 0);
    assert_eq!(
        whole.err,
        "natsguard: DIR/b.yaml: this link leads out of DIR; passed over: name it to have it read (1 more like it)\n\
         natsguard: DIR/loop.yaml: this link leads nowhere; passed over\n"
    );
    assert_eq!(objects(&folder, &["DIR"]), 2);
    assert_eq!(
        objects(&folder, &["DIR/b.yaml", "DIR/outside"]),
        1,
        "one file"
    );
}

#[test]
fn a_file_is_read_once() {
    let folder = Folder::new();
    folder.write("a.yaml", config_map("a"));
    let run = on(&folder, &["fix", "DIR/a.yaml", "DIR", "DIR/./a.yaml"]);
    assert_eq!((run.out, run.err.as_str()), (config_map("a"), ""));
}

#[test]
fn what_git_ignores_is_passed_over() {
    let folder = Folder::new();
    folder.write(".gitignore", "/deploy/*\n");
    folder.write("deploy/.gitignore", "out/\nsecret.yaml\n");
    for path in [
        "a.yaml",
        "secret.yaml",
        "out/a.yaml",
        ".git/a.yaml",
        "node_modules/a.yaml",
        ".hidden/b.yaml",
    ] {
        folder.write(&format!("deploy/{path}"), config_map(path));
    }
    let names = || on(&folder, &["fix", "DIR/deploy"]).out;
    let kept = format!(
        "{}---\n{}",
        config_map(".hidden/b.yaml"),
        config_map("a.yaml")
    );
    assert_eq!(
        names(),
        kept,
        "what lies above says nothing outside of a repository"
    );
    assert_eq!(
        objects(&folder, &["DIR/deploy/secret.yaml"]),
        1,
        "it is named"
    );
    fs::create_dir(folder.0.join(".git")).unwrap();
    // Now `deploy/.git` is what is in the way.
    fs::remove_dir_all(folder.0.join("deploy/.git")).unwrap();
    assert_eq!(names(), "");
    assert_eq!(
        on(&folder, &["check", "DIR/deploy"]).err,
        "natsguard: DIR/deploy: no manifests; natsguard reads files that end in .yaml, .yml or .json and that git does not ignore\n"
    );
}

#[test]
fn files_of_other_tools_in_a_folder_are_passed_over_in_one_line() {
    let folder = Folder::new();
    folder.write("a.yaml", config_map("a"));
    folder.write("package.json", "{}");
    folder.write("tsconfig.json", "{ // [\n}");
    folder.write("values.yaml", "replicas: 3\n");
    let whole = on(&folder, &["check", "DIR"]);
    assert_eq!(whole.status, 0);
    assert_eq!(
        whole.err,
        "natsguard: DIR/package.json:1:1: this is no Kubernetes object: it has no kind; passed over (1 more like it)\n\
         natsguard: DIR/tsconfig.json: this is no manifest; passed over\n"
    );
    folder.write("broken.yaml", "apiVersion: v1\nkind: [\n");
    let broken = on(&folder, &["check", "DIR"]);
    assert_eq!(broken.status, 2);
    assert!(
        broken.err.contains("DIR/broken.yaml:2:7: not YAML: "),
        "{}",
        broken.err
    );
    fs::remove_file(folder.0.join("broken.yaml")).unwrap();
    fs::remove_file(folder.0.join("a.yaml")).unwrap();
    assert_eq!(
        on(&folder, &["check", "DIR"]).status,
        2,
        "there was nothing else"
    );
}

/// A tree of a base, which lies in two folders, and two overlays, of which one has a component.
fn kustomize_tree() -> Folder {
    let folder = Folder::new();
    folder.write(
        "base/kustomization.yaml",
        "resources: [nats.yaml, ../shared/service.yaml]\n",
    );
    folder.write("base/nats.yaml", fragile());
    folder.write("shared/service.yaml", config_map("shared"));
    folder.write(
        "overlays/prod/kustomization.yaml",
        "resources: [../../base]\ncomponents: [../../parts/tls]\npatches: [{path: replicas.yaml}, {path: ../patch.yaml}]\n",
    );
    folder.write("overlays/prod/replicas.yaml", fragile());
    folder.write("overlays/patch.yaml", fragile());
    folder.write("overlays/test/Kustomization", "resources:\n- ../../base\n");
    folder.write(
        "parts/tls/kustomization.yml",
        "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n",
    );
    folder.write("parts/tls/files/tls.yaml", fragile());
    folder
}

#[test]
fn a_kustomization_is_to_be_rendered_first() {
    let folder = kustomize_tree();
    for (command, rest) in [("check", "check -"), ("fix", "fix -")] {
        let whole = on(&folder, &[command, "DIR"]);
        assert_eq!(whole.status, 2);
        assert_eq!(
            whole.err,
            format!(
                "natsguard: DIR/overlays/prod: a kustomization, so nothing in it was read: kubectl kustomize DIR/overlays/prod | natsguard {rest}\n\
                 natsguard: DIR/overlays/test: a kustomization, so nothing in it was read: kubectl kustomize DIR/overlays/test | natsguard {rest}\n"
            )
        );
    }
    let base = on(&folder, &["check", "DIR/base"]);
    assert_eq!(
        (base.status, base.err.as_str()),
        (
            2,
            "natsguard: DIR/base: a kustomization, so nothing in it was read: kubectl kustomize DIR/base | natsguard check -\n"
        )
    );
}

#[test]
fn nothing_of_a_kustomization_is_repaired() {
    let folder = kustomize_tree();
    folder.write("plain/nats.yaml", fragile());
    let read = |path: &str| fs::read_to_string(folder.0.join(path)).unwrap();
    let fixed = on(&folder, &["fix", "--in-place", "DIR"]);
    assert_eq!(fixed.status, 0, "{}", fixed.err);
    assert_eq!(fixed.err.matches("so nothing in it was read").count(), 2);
    for path in [
        "base/nats.yaml",
        "overlays/prod/replicas.yaml",
        "overlays/patch.yaml",
        "parts/tls/files/tls.yaml",
    ] {
        assert_eq!(read(path), fragile(), "{path}");
    }
    assert_ne!(read("plain/nats.yaml"), fragile(), "this is no part of one");
    // Several paths are one tree.
    let both = on(
        &folder,
        &[
            "fix",
            "--in-place",
            "DIR/shared/service.yaml",
            "DIR/base",
            "DIR/overlays/test",
        ],
    );
    assert_eq!(
        (both.status, both.err.matches('\n').count()),
        (2, 1),
        "{}",
        both.err
    );
}

#[test]
fn files_beside_a_kustomization_that_is_named_belong_to_it() {
    let folder = kustomize_tree();
    let file = "DIR/base/nats.yaml";
    let named = on(&folder, &["fix", file, "DIR/base/kustomization.yaml"]);
    assert_eq!(named.status, 2);
    assert_eq!(
        named.out,
        format!(
            "{}---\nresources: [nats.yaml, ../shared/service.yaml]\n",
            fragile()
        )
    );
    assert_eq!(named.err.matches('\n').count(), 1, "{}", named.err);
    assert_eq!(
        on(&folder, &["check", "-o", "json", file]).err,
        "",
        "it is named alone"
    );
}

#[test]
fn an_object_of_flux_is_no_kustomization() {
    let folder = Folder::new();
    let flux =
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps}\n";
    folder.write("kustomization.yaml", flux);
    folder.write("a.yaml", config_map("a"));
    assert_eq!(objects(&folder, &["DIR"]), 2);
}

#[test]
fn a_kustomization_in_a_stream_makes_all_of_it_unknown() {
    let input = format!(
        "{}---\nkind: Kustomization\nreplicas: [{{name: nats, count: 3}}]\n",
        fragile()
    );
    let line = fragile().lines().count() + 2;
    for command in ["check", "fix"] {
        let run = run_with(&[command, "-"], &input);
        assert_eq!(run.status, 2);
        assert_eq!(
            run.err,
            format!(
                "natsguard: <stdin>:{line}:1: a Kustomization may change all that stands beside it, so nothing here was judged: \
                 render it first (kubectl kustomize … | natsguard {command} -)\n"
            )
        );
        if command == "fix" {
            assert_eq!(run.out, input);
        }
    }
}

#[test]
fn a_chart_is_to_be_rendered_first() {
    let folder = Folder::new();
    folder.write("my charts/nats/Chart.yaml", "apiVersion: v2\nname: nats\n");
    folder.write("my charts/nats/values.yaml", "replicas: 3\n");
    folder.write("my charts/nats/crds/nats.yaml", fragile());
    folder.write(
        "my charts/nats/charts/other/Chart.yaml",
        "apiVersion: v2\nname: other\n",
    );
    folder.write(
        "my charts/nats/templates/a.yaml",
        "metadata:\n  {{- include \"nats.labels\" . | nindent 2 }}\n  name: nats\n",
    );
    folder.write(
        "my charts/nats/templates/b.yaml",
        "replicas: {{ .Values.replicas }}\n",
    );
    folder.write(
        "my charts/nats/templates/c.yaml",
        "kind: ConfigMap\nmetadata:\n  name: \"{{ .Release.Name }}-nats\"\n",
    );
    let command = "helm template 'DIR/my charts/nats' | natsguard check -";
    let whole = on(&folder, &["check", "DIR"]);
    assert_eq!(
        (whole.status, whole.err),
        (
            2,
            format!(
                "natsguard: DIR/my charts/nats: a Helm chart, so nothing in it was read: {command}\n"
            )
        )
    );
    folder.write("deploy.yaml", config_map("a"));
    assert_eq!(on(&folder, &["check", "DIR"]).status, 0);
    let templates = on(&folder, &["check", "DIR/my charts/nats/templates"]);
    assert_eq!(
        (templates.status, templates.err),
        (
            2,
            format!(
                "natsguard: DIR/my charts/nats/templates/a.yaml:2:5: a Helm template: render it first ({command}) (1 more like it)\n\
                 natsguard: DIR/my charts/nats/templates/c.yaml:3:3: a template: render it first ({command})\n"
            )
        )
    );
}

#[test]
fn a_template_is_no_broken_yaml() {
    let said = |input: &str| {
        let run = run_with(&["check", "-"], input);
        assert_eq!(run.status, 2);
        run.err
    };
    assert_eq!(
        said("kind: A\nmetadata:\n  {{- include \"x\" . | nindent 2 }}\n  name: a\n"),
        "natsguard: <stdin>:3:5: a Helm template: render it first (helm template … | natsguard check -)\n"
    );
    assert_eq!(
        said("kind: A\n{{ if production }}\nreplicas: 3\n{{ end }}\n"),
        "natsguard: <stdin>:2:1: a template: render it first (helm template … | natsguard check -)\n"
    );
    assert_eq!(
        said("kind: A\n{% if production %}\nreplicas: 3\n{% endif %}\n"),
        "natsguard: <stdin>:2:2: a template: render it first (helm template … | natsguard check -)\n"
    );
    // What a rule for alerts says is text.
    let rule = "kind: A\nsummary: '{{ $labels.pod }}'\nspec:\n  a: 1\n  b: 2\n c: 3\n";
    assert!(said(rule).contains("not YAML"), "{}", said(rule));
}

#[test]
fn a_place_in_a_template_of_openshift_is_where_it_is_written() {
    let objects: Vec<Value> = serde_saphyr::from_multiple(&fragile()).unwrap();
    let mut text = "apiVersion: template.openshift.io/v1\nkind: Template\nparameters:\n\
                    - {name: LONG, value: \"a\\nb: long\\nc: value\"}\n- {name: NONE, value: ''}\nobjects:\n"
        .to_owned();
    let conf = "      # ${LONG} ${NONE}\n      port: 4222\n      cluster {\n        name: ${NONE}x\n        port: 6222\n        \
                routes: [\n          nats://nats:6222\n        ]\n      }\n";
    for object in objects {
        if object["kind"] == "ConfigMap" {
            text += "- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: nats-config, namespace: messaging}\n  data:\n    nats.conf: |\n";
            text += conf;
        } else {
            text += &format!("- {object}\n");
        }
    }
    let folder = Folder::new();
    folder.write("template.yaml", &text);
    let report = on(&folder, &["check", "-o", "json", "DIR/template.yaml"]).out;
    let report: Value = serde_json::from_str(&report).unwrap();
    let routes = report["findings"].as_array().unwrap().iter();
    let place: Vec<Value> = routes
        .filter(|row| row["policy"] == "service-route")
        .map(|row| json!([row["line"], row["column"]]))
        .collect();
    let line = text
        .lines()
        .position(|line| line.ends_with(" nats://nats:6222"))
        .unwrap()
        + 1;
    assert_eq!(place, [json!([line, 11])], "{text}");
}

/// A patch of the StatefulSet of `fragile`, as kustomize takes it.
const PATCH: &str =
    "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: nats}\nspec: {replicas: 5}\n";

#[test]
fn what_a_patch_changes_is_not_known() {
    let stream = format!("{PATCH}---\n{}", fragile());
    let set = stream.find("kind: StatefulSet\nmetadata:\n").unwrap();
    let line = stream[..set].lines().count();
    for command in ["check", "fix"] {
        let run = run_with(&[command, "-"], &stream);
        let said = format!(
            "natsguard: <stdin>:{line}:1: StatefulSet messaging/nats stands at <stdin>:1:1 as well, so its fields are not known: \
             render it first (kubectl kustomize … | natsguard {command} -)\n"
        );
        assert_eq!(run.err.matches(&said).count(), 1, "{}", run.err);
        assert_eq!(run.err.matches("kustomize").count(), 1, "{}", run.err);
    }
    let fixed = run_with(&["fix", "-"], &stream).out;
    assert!(
        !fixed.contains("nats-3.nats") && !fixed.contains("nats-0.nats"),
        "{fixed}"
    );
    assert!(!fixed.contains("podAntiAffinity"), "{fixed}");
    let folder = Folder::new();
    folder.write("base/nats.yaml", fragile());
    folder.write("prod/replicas.yaml", PATCH);
    let fixed = on(&folder, &["fix", "--in-place", "DIR"]);
    assert!(
        fixed.err.contains("DIR/base/nats.yaml:42:1: StatefulSet messaging/nats stands at DIR/prod/replicas.yaml:1:1 as well"),
        "{}",
        fixed.err
    );
    let base = fs::read_to_string(folder.0.join("base/nats.yaml")).unwrap();
    assert!(
        !base.contains("nats-0.nats") && !base.contains("podAntiAffinity"),
        "{base}"
    );
}

#[test]
fn objects_that_nothing_depends_on_may_stand_twice() {
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: setup, annotations: {helm.sh/hook: pre-install}}\nspec: {}\n";
    let other = PATCH.replace("nats", "postgres");
    let input = format!("{job}---\n{job}---\n{other}---\n{other}---\n{}", fragile());
    let run = run_with(&["fix", "-"], input);
    assert!(!run.err.contains("as well"), "{}", run.err);
    assert!(run.out.contains("nats://nats-0.nats.messaging.svc"));
}

#[test]
fn the_nearest_of_a_name_is_meant() {
    let folder = Folder::new();
    let parts = |text: String| -> Vec<String> { text.split("---\n").map(str::to_owned).collect() };
    for (name, replicas) in [("prod", 5), ("test", 2)] {
        let text = fragile().replace("replicas: 3", &format!("replicas: {replicas}"));
        for (index, part) in parts(text).iter().enumerate() {
            folder.write(&format!("{name}/{index}.yaml"), part);
        }
    }
    let fixed = on(&folder, &["fix", "--in-place", "DIR"]);
    assert!(!fixed.err.contains("as well"), "{}", fixed.err);
    let routes = |name: &str| {
        let file = fs::read_to_string(folder.0.join(name).join("0.yaml")).unwrap();
        file.matches(".nats.messaging.svc").count()
    };
    assert_eq!((routes("prod"), routes("test")), (5, 2));
}
