//! The one table of what a NATS server is. The chart's matchConditions (`chart/templates/_match.tpl`) say the same in CEL;
//! `tests/chart/matching.rs` holds them to it.

/// Programs that are a NATS server.
pub const PROGRAMS: &[&str] = &["nats-server", "nats-streaming-server", "gnatsd"];

/// Last segments of the names of images that are a NATS server: `nats`, `docker.io/bitnami/nats`, `synadia/nats-server`.
pub const IMAGES: &[&str] = &[
    "nats",
    "nats-server",
    "nats-server-nightly",
    "nats-streaming",
    "nats-streaming-server",
    "gnatsd",
];

/// Programs that may take a nats.conf, or a flag of that name, and are no servers: words of their names, whole ones between
/// dashes.
pub const TOOLS: &[&str] = &[
    "account-server",
    "boot-config",
    "exporter",
    "jetstream-controller",
    "nack",
    "nats-bench",
    "nats-box",
    "nats-cli",
    "nats-kafka",
    "nats-mq",
    "nats-replicator",
    "nats-rest",
    "nats-top",
    "operator",
    "reloader",
    "surveyor",
];

/// Programs that are no servers, by their whole name.
pub const OTHER_PROGRAMS: &[&str] = &[
    "cat", "echo", "nats", "natscli", "nk", "nsc", "printf", "sleep", "tail", "which",
];

/// Owners of images of which only [`IMAGES`] are servers.
pub const VENDORS: &[&str] = &["connecteverything", "natsio", "synadia"];

/// Endings of files of other formats: what is passed with `-c` and ends so is not a nats.conf.
pub const OTHER_FORMATS: &[&str] = &[
    ".yaml",
    ".yml",
    ".toml",
    ".ini",
    ".xml",
    ".properties",
    ".sh",
];

/// Programs that take a script with `-c`.
pub const SHELLS: &[&str] = &["sh", "bash", "ash", "dash", "ksh", "mksh", "zsh"];

/// Where images look for their configuration when no argument says so: the official ones (alpine, scratch) and bitnami's.
pub const IMAGE_CONFIGS: &[&str] = &[
    "/etc/nats/nats-server.conf",
    "/nats-server.conf",
    "/bitnami/nats/conf/nats-server.conf",
    "/opt/bitnami/nats/conf/nats-server.conf",
];

/// Top-level options that only a nats.conf has; one of them makes a mounted file a nats.conf.
pub const TELLING_OPTIONS: &[&str] = &[
    "cluster",
    "jetstream",
    "leafnodes",
    "gateway",
    "server_name",
    "http_port",
    "http",
    "monitor_port",
    "max_payload",
    "lame_duck_duration",
    "accounts",
    "system_account",
];

/// Flags of a server that only it has when their value is an address of NATS.
pub const ADDRESS_FLAGS: &[&str] = &["cluster", "cluster_listen", "routes"];

/// How an address of NATS starts.
pub const SCHEMES: &[&str] = &["nats://", "nats-route://"];

/// Flags of a server that another program may have one of, but not two. Spellings of one flag stand together.
pub const TELLING_FLAGS: &[&[&str]] = &[
    &["js", "jetstream"],
    &["sd", "store_dir"],
    &["cluster", "cluster_listen"],
    &["routes"],
    &["cluster_name"],
    &["cluster_advertise"],
    &["client_advertise"],
    &["no_advertise"],
    &["connect_retries"],
    &["server_name"],
    &["http_port"],
    &["sc", "stan_config"],
];

/// Flags with which a server does something else than serve (nats-server `ConfigureOptions`), and ends.
pub const ENDING_FLAGS: &[&str] = &["h", "help", "help_tls", "sl", "signal", "t", "v", "version"];

/// A program that runs the command after its own words.
#[derive(Debug, Clone, Copy)]
pub struct Wrapper {
    /// Its name.
    pub program: &'static str,
    /// Options whose value is the next word.
    pub valued: &'static [&'static str],
    /// How many words stand between the options and the command.
    pub operands: usize,
}

const fn wrapper(
    program: &'static str,
    valued: &'static [&'static str],
    operands: usize,
) -> Wrapper {
    Wrapper {
        program,
        valued,
        operands,
    }
}

/// Wrappers with the syntax of their options. `env`, shells and what takes a script are read by `command.rs`, after this table.
pub const WRAPPERS: &[Wrapper] = &[
    wrapper("busybox", &[], 0),
    wrapper("catatonit", &[], 0),
    wrapper(
        "chpst",
        &[
            "-u", "-U", "-b", "-e", "-/", "-n", "-l", "-L", "-m", "-d", "-o", "-p", "-f", "-c",
            "-r", "-t",
        ],
        0,
    ),
    wrapper("chroot", &[], 1),
    wrapper(
        "chrt",
        &[
            "-T",
            "-P",
            "-D",
            "--sched-runtime",
            "--sched-period",
            "--sched-deadline",
        ],
        1,
    ),
    wrapper("command", &[], 0),
    wrapper("docker-entrypoint.sh", &[], 0),
    wrapper("docker-init", &[], 0),
    wrapper("doas", &["-u", "-C"], 0),
    wrapper("dumb-init", &["-r", "--rewrite"], 0),
    wrapper("entrypoint.sh", &[], 0),
    wrapper(
        "env",
        &["-u", "--unset", "-C", "--chdir", "-a", "--argv0"],
        0,
    ),
    wrapper("envdir", &[], 1),
    wrapper("exec", &["-a"], 0),
    wrapper(
        "flock",
        &["-w", "--timeout", "-E", "--conflict-exit-code"],
        1,
    ),
    wrapper("gosu", &[], 1),
    wrapper("ionice", &["-c", "--class", "-n", "--classdata"], 0),
    wrapper("nice", &["-n", "--adjustment"], 0),
    wrapper("nohup", &[], 0),
    wrapper(
        "numactl",
        &[
            "-m",
            "-N",
            "-C",
            "-i",
            "-p",
            "--membind",
            "--cpunodebind",
            "--physcpubind",
            "--interleave",
            "--preferred",
        ],
        0,
    ),
    wrapper("prlimit", &[], 0),
    wrapper(
        "runuser",
        &["-u", "--user", "-g", "--group", "-G", "--supp-group"],
        0,
    ),
    wrapper("s6-envdir", &[], 1),
    wrapper("s6-setuidgid", &[], 1),
    wrapper(
        "setpriv",
        &[
            "--reuid",
            "--regid",
            "--ruid",
            "--euid",
            "--rgid",
            "--egid",
            "--groups",
            "--inh-caps",
            "--ambient-caps",
            "--bounding-set",
            "--securebits",
            "--pdeathsig",
            "--selinux-label",
            "--apparmor-profile",
        ],
        0,
    ),
    wrapper("setsid", &[], 0),
    wrapper("setuidgid", &[], 1),
    wrapper(
        "stdbuf",
        &["-i", "-o", "-e", "--input", "--output", "--error"],
        0,
    ),
    wrapper("strace", &["-e", "-o", "-p", "-s", "-u", "-E", "-a"], 0),
    wrapper("su-exec", &[], 1),
    wrapper(
        "sudo",
        &[
            "-u", "--user", "-g", "--group", "-h", "--host", "-p", "--prompt", "-C", "-r", "-t",
            "-D", "-R", "-T",
        ],
        0,
    ),
    wrapper("taskset", &[], 1),
    wrapper("time", &["-o", "-f"], 0),
    wrapper("timeout", &["-s", "--signal", "-k", "--kill-after"], 1),
    wrapper("tini", &["-p", "-e"], 0),
    wrapper("tini-static", &["-p", "-e"], 0),
    wrapper(
        "unshare",
        &[
            "-S", "--setuid", "-G", "--setgid", "-R", "--root", "-w", "--wd",
        ],
        0,
    ),
    wrapper("with-contenv", &[], 0),
];

/// Whether a program of this name is a server.
pub fn is_program(name: &str) -> bool {
    PROGRAMS.contains(&name)
}

/// Whether a program or the last segment of an image is known to be none.
pub(super) fn is_tool(name: &str) -> bool {
    let words = format!("-{}-", name.replace(['_', '.'], "-"));
    OTHER_PROGRAMS.contains(&name)
        || TOOLS
            .iter()
            .any(|tool| words.contains(&format!("-{tool}-")))
}

/// Whether an image is known to be no server: by its name, or as another one of those who make servers.
pub(super) fn is_tool_image(image: &str) -> bool {
    let mut segments = repository(image).rsplit('/');
    let name = segments.next().unwrap_or_default();
    let is_of_vendor = segments
        .next()
        .is_some_and(|owner| VENDORS.contains(&owner));
    !IMAGES.contains(&name) && (is_tool(name) || is_of_vendor)
}

/// An image's name without tag and digest.
pub(super) fn repository(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    let name = image.rfind('/').map_or(0, |slash| slash + 1);
    match image.get(name..).and_then(|name| name.find(':')) {
        Some(colon) => image.get(..name + colon).unwrap_or_default(),
        None => image,
    }
}

/// The last segment of an image's name.
pub(super) fn image_name(image: &str) -> &str {
    repository(image).rsplit('/').next().unwrap_or_default()
}

/// Whether a file may be a nats.conf by its name. `-c` of other programs takes scripts (`#!`) and settings (`a=b`), too.
pub(super) fn may_be_nats_conf(path: &str) -> bool {
    let is_of_another_format = OTHER_FORMATS.iter().any(|ending| path.ends_with(ending));
    !path.contains(|c: char| matches!(c, '=' | '#') || c.is_whitespace()) && !is_of_another_format
}
