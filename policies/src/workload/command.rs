//! The command line of a container: the program behind wrappers and shells, its flags, its environment and its directory.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value;

use super::environment::{Environment, Variable};
use super::flags::{self, Flag};
use super::mounts::clean;
use super::server::{
    ADDRESS_FLAGS, ENDING_FLAGS, SCHEMES, SHELLS, TELLING_FLAGS, WRAPPERS, Wrapper, is_tool,
};
use super::shell::{Script, Word, assignment};
use crate::json;

/// So many scripts may stand within each other (`sh -c "su -c '…'"`).
const MAX_NESTED: usize = 4;

/// The longest path that Linux takes (`PATH_MAX`).
const MAX_PATH: usize = 4096;

/// So many files that scripts write are remembered.
const MAX_OUTPUTS: usize = 256;

/// Programs that are given a script with `-c` after words of their own.
const SCRIPTED: &[&str] = &["su", "runuser"];

/// Programs whose last operand is a file that they write.
const WRITERS: &[&str] = &["cp", "install", "ln", "mv", "sed", "tee"];

/// The command line of a container, as far as the manifest says.
#[derive(Debug, Clone, Default)]
pub struct CommandLine {
    /// Base name of the program, when the manifest names one: of the command itself, or found behind wrappers and in scripts.
    pub program: Option<String>,
    /// Whether `command` or `args` replace the arguments of the image.
    pub overrides_image: bool,
    /// Whether a shell or another wrapper runs something that can't be seen here.
    pub hidden: bool,
    flags: Vec<Flag>,
    environment: Option<Environment>,
    directory: Option<Rc<str>>,
    outputs: BTreeSet<String>,
}

/// A program that was found, with what it is run with.
struct Found {
    program: String,
    is_server: bool,
    flags: Vec<Flag>,
    /// How many changes of [`Runner::changes`] come before it.
    changes: usize,
    scope: Scope,
}

/// What wrappers change for one program alone.
#[derive(Clone, Default)]
struct Scope {
    variables: Vec<(String, Option<String>)>,
    /// Whether the environment was emptied before.
    is_emptied: bool,
    directory: Option<Rc<str>>,
}

/// What runs a command line.
struct Runner {
    is_server: fn(&str) -> bool,
    environment: Environment,
    /// What scripts do to the environment, in order.
    changes: Vec<(String, Option<String>)>,
    directory: Option<Rc<str>>,
    outputs: BTreeSet<String>,
    outputs_left: usize,
}

impl CommandLine {
    /// Reads `command` and `args` of a container; `pointer` is the container's.
    pub fn read(container: &Value, pointer: &str, is_server: fn(&str) -> bool) -> Self {
        let before = Environment::of(container);
        let mut environment = before.clone();
        let mut words = Vec::new();
        for key in ["command", "args"] {
            for (index, word) in json::items(container, &[key]).iter().enumerate() {
                let written = word.as_str().unwrap_or_default();
                let expanded = environment.expand(written);
                words.push(Word {
                    written: (expanded.text != written).then(|| written.to_owned()),
                    text: expanded.text,
                    is_known: expanded.is_known,
                    pointer: format!("{pointer}/{key}/{index}").into(),
                    is_whole: true,
                });
            }
        }
        let has_command = !json::items(container, &["command"]).is_empty();
        let directory = json::text(container, &["workingDir"]).filter(|path| !path.is_empty());
        let mut line = Self {
            overrides_image: !words.is_empty(),
            ..Self::default()
        };
        let mut runner = Runner {
            is_server,
            environment,
            changes: Vec::new(),
            directory: directory.map(Rc::from),
            outputs: BTreeSet::new(),
            outputs_left: MAX_OUTPUTS,
        };
        let is_arguments = !has_command
            && words
                .first()
                .is_none_or(|word| flags::name(&word.text).is_some());
        let found = if is_arguments {
            None
        } else {
            runner.find(&words, 0)
        };
        let mut environment = before;
        line.directory = runner.directory;
        if let Some(found) = found {
            if found.scope.is_emptied {
                environment.clear();
            }
            let changes = runner.changes.into_iter().take(found.changes);
            for (name, value) in changes.chain(found.scope.variables) {
                environment.set(name, value);
            }
            line.directory = found.scope.directory;
            line.hidden = !found.is_server;
            line.program = Some(found.program);
            line.flags = found.flags;
        } else {
            line.hidden = has_command;
            line.flags = flags::read(&words);
        }
        line.environment = Some(environment);
        line.outputs = runner.outputs;
        line
    }

    /// The last of these flags: it is the one that counts.
    pub fn last(&self, names: &[&str]) -> Option<&Flag> {
        self.flags
            .iter()
            .rev()
            .find(|flag| names.contains(&flag.name.as_str()))
    }

    /// Every flag, in order.
    pub fn flags(&self) -> &[Flag] {
        &self.flags
    }

    /// Whether a switch such as `-js` is on.
    pub fn is_on(&self, names: &[&str]) -> bool {
        self.last(names).is_some_and(|flag| {
            !matches!(
                flag.value.to_ascii_lowercase().as_str(),
                "false" | "0" | "f"
            )
        })
    }

    /// Whether the flags are those of a server and of nothing else.
    pub(super) fn has_telling_flags(&self) -> bool {
        has_telling_flags(&self.flags)
    }

    /// Whether the program does something else than serve, and ends.
    pub(super) fn is_ending(&self) -> bool {
        self.last(ENDING_FLAGS).is_some()
    }

    /// A variable of the program's environment.
    pub fn variable(&self, name: &str) -> Variable<'_> {
        let environment = self.environment.as_ref();
        environment.map_or(Variable::Unset, |environment| environment.get(name))
    }

    /// A path as the program understands it: `None` when it is relative and nobody says to what.
    pub fn absolute(&self, path: &str) -> Option<String> {
        absolute(path, self.directory.as_deref())
    }

    /// Whether a script of the command line writes the file at this cleaned path.
    pub(super) fn writes(&self, path: &str) -> bool {
        self.outputs.contains(path)
    }
}

fn absolute(path: &str, directory: Option<&str>) -> Option<String> {
    if path.starts_with('/') {
        Some(clean(path))
    } else {
        directory
            .filter(|directory| directory.starts_with('/'))
            .map(|directory| clean(&format!("{directory}/{path}")))
    }
}

fn has_telling_flags(flags: &[Flag]) -> bool {
    let has_address = |flag: &Flag| {
        ADDRESS_FLAGS.contains(&flag.name.as_str())
            && SCHEMES.iter().any(|scheme| flag.value.starts_with(scheme))
    };
    let is_there = |names: &&&[&str]| flags.iter().any(|flag| names.contains(&flag.name.as_str()));
    flags.iter().any(has_address) || TELLING_FLAGS.iter().filter(is_there).count() > 1
}

impl Runner {
    /// The program that words run, behind the wrappers that the table knows or in a script.
    fn find(&mut self, words: &[Word], nested: usize) -> Option<Found> {
        let mut scope = Scope {
            directory: self.directory.clone(),
            ..Scope::default()
        };
        let mut rest = words;
        while let Some((first, after)) = rest.split_first() {
            let program = base_name(&first.text);
            if (self.is_server)(program) {
                return Some(self.found(program, true, flags::read(after), scope));
            }
            let takes_script = SCRIPTED.contains(&program);
            if (takes_script || SHELLS.contains(&program))
                && let Some((script, arguments)) = script(after, takes_script)
            {
                let (text, pointer) = (&script.text, &script.pointer);
                let found = self.find_in_script(text, pointer, arguments, nested);
                return Some(match found {
                    Some(found) => found.within(scope),
                    None => self.found(program, false, Vec::new(), scope),
                });
            }
            if program == "eval" {
                return self.find_in_script(&joined("", after), &first.pointer, &[], nested);
            }
            // What an entry point is given are the arguments of its server, where they are no command.
            let is_flag = |word: &Word| flags::name(&word.text).is_some();
            if program.ends_with("entrypoint.sh") && after.first().is_some_and(is_flag) {
                break;
            }
            let mut wrappers = WRAPPERS.iter();
            let Some(wrapper) = wrappers.find(|wrapper| wrapper.program == program) else {
                break;
            };
            let (options, command) = unwrap(wrapper, after);
            let asks = |option: &Word| matches!(option.text.as_str(), "-v" | "-V");
            if program == "command" && options.iter().any(asks) {
                break;
            }
            rest = command;
            if program == "env" {
                let at = options
                    .iter()
                    .position(|option| split(&option.text).is_some());
                if let Some((word, more)) = at.and_then(|at| after.get(at..)?.split_first()) {
                    let text = joined(split(&word.text).unwrap_or_default(), more);
                    let found = self.find_in_script(&text, &word.pointer, &[], nested);
                    return found.map(|found| found.within(scope));
                }
                scope.read(options);
            }
            if matches!(program, "env" | "sudo") {
                let (assignments, command) = split_assignments(rest);
                scope
                    .variables
                    .extend(assignments.iter().filter_map(assigned));
                rest = command;
            }
        }
        let (first, arguments) = rest.split_first()?;
        let program = base_name(&first.text);
        let at = (0..arguments.len()).find(|at| self.is_behind_a_stranger(arguments, *at));
        let server = at.and_then(|at| arguments.get(at..)?.split_first());
        Some(match server.filter(|_| !is_tool(program)) {
            Some((server, arguments)) => {
                let flags = flags::read(arguments);
                self.found(base_name(&server.text), true, flags, scope)
            }
            None => self.found(program, false, flags::read_all(arguments), scope),
        })
    }

    fn found(&self, program: &str, is_server: bool, flags: Vec<Flag>, scope: Scope) -> Found {
        Found {
            program: program.to_owned(),
            is_server,
            flags,
            changes: self.changes.len(),
            scope,
        }
    }

    /// Whether a server stands at a word of a program that is not known: after `--`, or before flags that are its own. The name
    /// of a server alone may be that of a host.
    fn is_behind_a_stranger(&self, words: &[Word], at: usize) -> bool {
        let text = |at: usize| words.get(at).map(|word| word.text.as_str());
        if !text(at).is_some_and(|word| (self.is_server)(base_name(word))) {
            return false;
        }
        let before = at.checked_sub(1).and_then(text).unwrap_or_default();
        let is_own = |flag: &str| {
            let (flag, value) = flag
                .split_once('=')
                .unwrap_or((flag, text(at + 2).unwrap_or_default()));
            matches!(flag, "c" | "config") && value.contains('/')
                || TELLING_FLAGS.iter().any(|names| names.contains(&flag))
        };
        let after = text(at + 1).and_then(flags::name);
        before == "--" || !before.starts_with('-') && after.is_some_and(is_own)
    }

    /// The server that a script ends as, or else the last of its programs that takes flags of one.
    fn find_in_script(
        &mut self,
        text: &str,
        pointer: &Rc<str>,
        arguments: &[Word],
        nested: usize,
    ) -> Option<Found> {
        if nested > MAX_NESTED {
            return None;
        }
        let mut script = Script::new(text, pointer);
        let mut last: Option<Found> = None;
        let mut arguments = arguments.to_vec();
        while let Some(command) = script.next(&mut self.environment, &arguments) {
            for output in &command.outputs {
                self.write(output);
            }
            let (assignments, words) = split_assignments(&command.words);
            let variables: Vec<_> = assignments.iter().filter_map(assigned).collect();
            let Some((first, after)) = words.split_first() else {
                for variable in variables {
                    self.change(variable, command.is_conditional);
                }
                continue;
            };
            match first.text.as_str() {
                "export" | "declare" | "readonly" | "local" | "typeset" => {
                    for variable in after.iter().filter_map(assigned) {
                        self.change(variable, command.is_conditional);
                    }
                    continue;
                }
                "read" | "unset" | "getopts" => {
                    for word in after {
                        self.change((word.text.clone(), None), true);
                    }
                    continue;
                }
                "cd" => {
                    let path = after
                        .iter()
                        .find(|word| !word.text.starts_with('-') && word.is_known);
                    let path = path.filter(|_| !command.is_conditional);
                    let path =
                        path.and_then(|word| absolute(&word.text, self.directory.as_deref()));
                    self.directory = path.filter(|path| path.len() <= MAX_PATH).map(Rc::from);
                    continue;
                }
                "set" => {
                    let operands = after.iter().position(|word| word.text == "--");
                    if let Some(operands) = operands.and_then(|at| after.get(at..)) {
                        arguments = operands.to_vec();
                    }
                    continue;
                }
                program if WRITERS.contains(&program) => {
                    if let Some(output) = after.last() {
                        self.write(output);
                    }
                    continue;
                }
                _ => {}
            }
            let Some(mut found) = self.find(words, nested + 1) else {
                continue;
            };
            found.scope.variables.splice(0..0, variables);
            if rank(&found) > 0 && last.as_ref().is_none_or(|last| rank(last) <= rank(&found)) {
                last = Some(found);
            }
        }
        last
    }

    fn change(&mut self, (name, value): (String, Option<String>), is_conditional: bool) {
        let value = value.filter(|_| !is_conditional);
        self.environment.set(name.clone(), value.clone());
        self.changes.push((name, value));
    }

    fn write(&mut self, output: &Word) {
        let Some(left) = self.outputs_left.checked_sub(1) else {
            return;
        };
        self.outputs_left = left;
        let path = absolute(&output.text, self.directory.as_deref().or(Some("/")));
        self.outputs.extend(path.filter(|_| output.is_known));
    }
}

impl Found {
    /// The same program, found in a script that is run with this.
    fn within(mut self, outer: Scope) -> Self {
        self.scope.variables.splice(0..0, outer.variables);
        self.scope.is_emptied |= outer.is_emptied;
        self
    }
}

impl Scope {
    /// Reads the options of `env`.
    fn read(&mut self, options: &[Word]) {
        let mut options = options.iter();
        while let Some(option) = options.next() {
            let option = option.text.as_str();
            match option {
                "-" | "-i" | "--ignore-environment" => self.is_emptied = true,
                "-u" | "--unset" => {
                    let name = options.next().map(|word| word.text.clone());
                    self.variables.extend(name.map(|name| (name, None)));
                }
                "-C" | "--chdir" => {
                    let path = options.next().map_or("", |word| &word.text);
                    self.enter(path);
                }
                _ => {
                    if let Some(path) = option.strip_prefix("--chdir=") {
                        self.enter(path);
                    }
                }
            }
        }
    }

    fn enter(&mut self, path: &str) {
        self.directory = absolute(path, self.directory.as_deref()).map(Rc::from);
    }
}

/// How much a command of a script says of the server that it runs: `nats-server --version; exec nats-server -c …` is the
/// second one.
fn rank(found: &Found) -> u8 {
    let has = |names: &[&str]| {
        found
            .flags
            .iter()
            .any(|flag| names.contains(&flag.name.as_str()))
    };
    match found.is_server {
        true if has(ENDING_FLAGS) => 2,
        true => 3,
        false => u8::from(has(&["c", "config"]) || has_telling_flags(&found.flags)),
    }
}

/// The assignments before a command, and the command.
fn split_assignments(words: &[Word]) -> (&[Word], &[Word]) {
    let is_assignment = |word: &&Word| assignment(&word.text).is_some();
    let count = words.iter().take_while(is_assignment).count();
    words.split_at_checked(count).unwrap_or_default()
}

/// The value that a word gives to a variable.
fn assigned(word: &Word) -> Option<(String, Option<String>)> {
    let (name, value) = assignment(&word.text)?;
    Some((name.to_owned(), word.is_known.then(|| value.to_owned())))
}

/// The script among the words of a shell, and what comes after it: `$0`, `$1` and so on.
fn script(words: &[Word], has_operands: bool) -> Option<(&Word, &[Word])> {
    let mut is_script = false;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let text = word.text.as_str();
        let is_option = text.starts_with(['-', '+']) && text.len() > 1;
        at += 1;
        match text {
            // `runuser -u nats -- nats-server` takes no script.
            "--" | "-u" | "--user" if has_operands => return None,
            "--" => {
                return words.get(at).zip(words.get(at + 1..)).filter(|_| is_script);
            }
            "--command" | "--session-command" => is_script = true,
            "--rcfile" | "--init-file" => at += 1,
            _ if text.starts_with("--") => {
                if let Some(("--command", _)) = text.split_once('=') {
                    return None;
                }
            }
            "-s" | "-g" | "-G" | "-w" if has_operands => at += 1,
            _ if is_option => {
                is_script |= text.starts_with('-') && text.contains('c');
                // `-o pipefail`, `-euxo pipefail`
                at += usize::from(!has_operands && text.ends_with(['o', 'O']));
            }
            // `su nats -c '…'`
            _ if has_operands && !is_script => {}
            _ => return is_script.then_some((word, words.get(at..).unwrap_or_default())),
        }
    }
    None
}

/// The options of a wrapper, and the command after its operands.
fn unwrap<'w>(wrapper: &Wrapper, words: &'w [Word]) -> (&'w [Word], &'w [Word]) {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let text = word.text.as_str();
        if !text.starts_with('-') {
            break;
        }
        at += 1;
        if text == "--" {
            break;
        }
        at += usize::from(wrapper.valued.contains(&text));
    }
    let at = at.min(words.len());
    let (options, rest) = words.split_at_checked(at).unwrap_or_default();
    (options, rest.get(wrapper.operands..).unwrap_or_default())
}

/// The command line that an option of `env` begins (`-S`, `-iS`).
fn split(option: &str) -> Option<&str> {
    if let Some(option) = option.strip_prefix("--") {
        let text = option.strip_prefix("split-string")?;
        return Some(text.strip_prefix('=').unwrap_or(text));
    }
    option.split_once('S').map(|(_, text)| text)
}

fn joined(first: &str, words: &[Word]) -> String {
    let mut text = first.to_owned();
    for word in words {
        text.push(' ');
        text.push_str(&word.text);
    }
    text
}

/// The last segment of a path.
fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workload::server::is_program;

    const NONE: &str = "no server";

    fn read(container: &Value) -> CommandLine {
        CommandLine::read(container, "/spec/containers/0", is_program)
    }

    /// The flags of the server, or that there is none.
    fn server(container: &Value) -> String {
        let line = read(container);
        let is_server = line.program.as_deref().is_some_and(is_program);
        let flags = line.flags.iter().map(|flag| {
            let mark = if flag.is_known { "" } else { "?" };
            format!("{}={}{mark}", flag.name, flag.value)
        });
        if is_server {
            flags.collect::<Vec<_>>().join(" ")
        } else {
            NONE.to_owned()
        }
    }

    fn command(words: &[&str]) -> String {
        server(&json!({"command": words}))
    }

    fn script(text: &str) -> String {
        command(&["/bin/sh", "-c", text])
    }

    #[test]
    fn every_form_of_a_go_flag_is_read() {
        let line = read(&json!({
            "command": ["/nats-server"],
            "args": ["-c", "a.conf", "--routes=nats://a:1", "-js", "-sd=/data", "--name", "x"]
        }));
        assert_eq!(line.program.as_deref(), Some("nats-server"));
        assert_eq!(line.last(&["c", "config"]).unwrap().value, "a.conf");
        let routes = line.last(&["routes"]).unwrap();
        assert_eq!(routes.value, "nats://a:1");
        assert_eq!(routes.pointer, "/spec/containers/0/args/2");
        assert_eq!(routes.span, Some(9..19));
        assert!(line.is_on(&["js", "jetstream"]));
        assert_eq!(line.last(&["sd", "store_dir"]).unwrap().value, "/data");
        assert_eq!(line.last(&["n", "name"]).unwrap().value, "x");
    }

    #[test]
    fn the_last_of_two_flags_counts_and_a_word_ends_them() {
        let line =
            read(&json!({"command": ["nats-server", "-c", "a", "-c", "b", "stop", "-c", "c"]}));
        assert_eq!(line.last(&["c"]).unwrap().value, "b");
    }

    #[test]
    fn a_switch_can_be_off() {
        assert!(!read(&json!({"args": ["-js=false"]})).is_on(&["js"]));
    }

    #[test]
    fn a_shell_script_is_looked_into_but_not_edited() {
        let line = read(&json!({
            "command": ["/bin/sh", "-c", "ulimit -n 65536; exec nats-server -c '/etc/nats conf' --routes \"$ROUTES\""]
        }));
        assert_eq!(line.program.as_deref(), Some("nats-server"));
        assert_eq!(line.last(&["c"]).unwrap().value, "/etc/nats conf");
        assert_eq!(line.last(&["c"]).unwrap().span, None);
        assert!(line.last(&["routes"]).unwrap().is_expanded_later());
    }

    #[test]
    fn a_script_that_is_not_here_hides_the_server() {
        for words in [
            ["/bin/sh", "-c", "/scripts/start.sh now"],
            ["/bin/sh", "-x", "/scripts/start.sh"],
        ] {
            let line = read(&json!({"command": words}));
            assert!(line.hidden);
            assert_eq!(line.program.as_deref(), Some("sh"));
        }
    }

    #[test]
    fn the_program_is_found_behind_wrappers() {
        for words in [
            "/usr/bin/env nats-server -c /a",
            "env -i -u X A=b nats-server -c /a",
            "env -C /x -- nats-server -c /a",
            "env -S nats-server -c /a",
            "gosu nats:nats nats-server -c /a",
            "su-exec 1000 nats-server -c /a",
            "setpriv --reuid=1000 --regid 1000 --clear-groups nats-server -c /a",
            "tini -g -- /opt/nats-server -c /a",
            "tini -p SIGTERM -s nats-server -c /a",
            "dumb-init --rewrite 15:3 -- nats-server -c /a",
            "catatonit -- nats-server -c /a",
            "nohup nats-server -c /a",
            "timeout -k 5 --signal=TERM 1h nats-server -c /a",
            "nice -n 5 ionice -c 2 -n0 chrt -f 10 nats-server -c /a",
            "nice -10 nats-server -c /a",
            "stdbuf -oL -e 0 nats-server -c /a",
            "taskset -c 0-3 nats-server -c /a",
            "docker-entrypoint.sh nats-server -c /a",
            "busybox nohup nats-server -c /a",
            "runuser -u nats -- nats-server -c /a",
            // Wrappers that no table has.
            "/opt/acme/launch --as nats -- nats-server -c /a",
            "/opt/acme/launch start nats-server -c /a",
            "/vault/vault-env /usr/bin/nats-server -js -c /a",
        ] {
            let words: Vec<_> = words.split(' ').collect();
            let flags = command(&words).replace("js= ", "");
            assert_eq!(flags, "c=/a", "{words:?}");
        }
    }

    #[test]
    fn the_server_of_a_script_is_found() {
        for text in [
            "nats-server -c /a",
            "exec nats-server -c /a",
            "set -e\nexec 'nats-server' -c \"/a\"",
            "A=b C=\"d e\" exec nats-server -c /a",
            "( cd /x && nats-server -c /a )",
            "{ nats-server -c /a; }",
            "if [ -n \"$X\" ]; then nats-server -c /b; else exec nats-server -c /a; fi",
            "while true; do nats-server -c /a; sleep 1; done",
            "case $X in\n  a) echo a ;;\n  *) exec nats-server -c /a ;;\nesac",
            "start() {\n  exec nats-server -c /a\n}\nstart",
            "echo 1 > /x 2>&1; nats-server -c /a >/dev/null 2>&1 &\nwait",
            "nats-server --version; exec nats-server -c /a",
            "nats-server -c /a & trap 'nats-server --signal ldm' TERM; wait",
            "nats-server -c /a & nats-server -sl reload=1",
            "cat > /a <<EOF\nit's { a: 'b'\nnats-server -c /b\nEOF\nexec nats-server -c /a",
            "cat <<-'E' >/a\n\tx\n\tE\nnats-server -c /a",
            "nats-server \\\n  -c /a # -c /b",
            "exec gosu nats nats-server -c /a | tee /log",
            "su nats -s /bin/sh -c 'exec nats-server -c /a'",
            "bash -euxo pipefail -c 'nats-server -c /a'",
            "eval \"nats-server -c /a\"",
            "export P=/a; nats-server -c $P",
            "P=/a\nnats-server -c ${P:-/b}",
            "set -- nats-server -c /a; exec \"$@\"",
        ] {
            assert_eq!(script(text), "c=/a", "{text}");
        }
        assert_eq!(script("nats-server"), "");
    }

    #[test]
    fn arguments_are_handed_to_a_script() {
        for (words, flags) in [
            (
                &["sh", "-c", "exec \"$@\"", "--", "nats-server", "-c", "/a"][..],
                "c=/a",
            ),
            (&["sh", "-ec", "nats-server $@", "sh", "-c", "/a"], "c=/a"),
            (&["sh", "-c", "nats-server -c $1", "sh", "/a"], "c=/a"),
            (&["sh", "-c", "nats-server -c $1"], "c=$1?"),
            // What stands after a script is no argument of the programs in it.
            (&["sh", "-c", "nats-server", "-c", "/a"], ""),
        ] {
            assert_eq!(command(words), flags, "{words:?}");
        }
        let split = json!({"command": ["/bin/sh"], "args": ["-c", "nats-server -c /a"]});
        assert_eq!(server(&split), "c=/a");
    }

    #[test]
    fn what_only_running_tells_is_not_known() {
        for (text, flags) in [
            ("nats-server -c $CONF", "c=$CONF?"),
            (
                "nats-server -c /etc/$(hostname).conf -js",
                "c=/etc/$(hostname).conf? js=",
            ),
            ("nats-server -c \"`hostname`\"", "c=`hostname`?"),
            ("[ -n \"$A\" ] && P=/a; nats-server -c $P", "c=$P?"),
            ("if x; then P=/a; fi; nats-server -c $P", "c=$P?"),
            ("for P in /a /b; do x; done; nats-server -c $P", "c=$P?"),
            ("read P; nats-server -c ${P}", "c=${P}?"),
            ("P=/a; nats-server -c ${P%a}", "c=${P%a}?"),
            ("nats-server -c ${P:-/a}", "c=${P:-/a}?"),
        ] {
            assert_eq!(script(text), flags, "{text}");
        }
    }

    #[test]
    fn the_name_of_a_server_in_an_argument_makes_no_server() {
        for args in [
            json!({"args": ["--nats", "nats://nats-server"]}),
            json!({"command": ["app", "nats-server"]}),
            json!({"command": ["psql", "-h", "nats-server", "-c", "/select/1"]}),
            json!({"command": ["curl", "nats-server", "-c", "jar"]}),
        ] {
            assert_eq!(server(&args), NONE, "{args}");
        }
        for text in [
            "until nc -z nats-server 4222; do sleep 1; done",
            "echo nats-server -c /a > /x/start.sh",
            "command -v nats-server",
            "cat <<E\nnats-server -c /a\nE",
            "# nats-server -c /a",
            "x='nats-server -c /a'",
            "case $1 in nats-server) echo ;; esac",
        ] {
            assert_eq!(script(text), NONE, "{text}");
        }
        let named = read(&json!({"args": ["-c", "/a", "--name", "nats-server"]}));
        assert_eq!(named.last(&["c"]).unwrap().value, "/a");
    }

    #[test]
    fn references_are_followed_and_then_not_edited() {
        let line = read(&json!({
            "command": ["nats-server"], "args": ["-c", "$(DIR)/a", "--routes=$(R)", "-sd=$(POD)"],
            "env": [{"name": "DIR", "value": "/etc"}, {"name": "R", "value": "nats://a:1"}, {"name": "POD", "valueFrom": {}}]
        }));
        let path = line.last(&["c"]).unwrap();
        assert_eq!((path.value.as_str(), &path.span), ("/etc/a", &None));
        let routes = line.last(&["routes"]).unwrap();
        assert_eq!(
            (routes.value.as_str(), routes.written.as_str()),
            ("nats://a:1", "$(R)")
        );
        assert!(line.last(&["sd"]).unwrap().is_expanded_later());
    }

    #[test]
    fn the_environment_and_the_directory_are_those_of_the_server() {
        let line = |command: Value| {
            read(&json!({
                "command": command, "workingDir": "/srv",
                "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]
            }))
        };
        let seen = |line: &CommandLine| {
            let variable = |name: &str| match line.variable(name) {
                Variable::Unset => "-".to_owned(),
                Variable::Unknown => "?".to_owned(),
                Variable::Known(value) => value.to_owned(),
            };
            let directory = line.absolute("x").unwrap_or_default();
            [variable("A"), variable("B"), variable("C"), directory].join(" ")
        };
        for (command, expected) in [
            (json!(["nats-server"]), "1 2 - /srv/x"),
            (json!(["env", "A=3", "C=4", "nats-server"]), "3 2 4 /srv/x"),
            (json!(["env", "-i", "C=4", "nats-server"]), "- - 4 /srv/x"),
            (
                json!(["env", "-u", "A", "-C", "data", "nats-server"]),
                "? 2 - /srv/data/x",
            ),
            (
                json!(["sh", "-c", "export A=$B; cd /data; C=$A nats-server; A=9"]),
                "2 2 2 /data/x",
            ),
            (
                json!(["sh", "-c", "cd $X; A=$(date) nats-server"]),
                "? 2 - ",
            ),
        ] {
            assert_eq!(seen(&line(command.clone())), expected, "{command}");
        }
    }

    #[test]
    fn the_files_that_a_script_writes_are_known() {
        let line = read(
            &json!({"command": ["sh", "-c", "            cat >/tmp/a <<E\nE\ncp /x /tmp/b; echo x | tee /tmp/c >> /tmp/d; cd /tmp; sed s/a/b/ x > ./e; cat /tmp/f\n            exec nats-server"]}),
        );
        for (path, is_written) in [
            ("/tmp/a", true),
            ("/tmp/b", true),
            ("/tmp/c", true),
            ("/tmp/d", true),
            ("/tmp/e", true),
            ("/tmp/f", false),
            ("/x", false),
        ] {
            assert_eq!(line.writes(path), is_written, "{path}");
        }
    }
}
