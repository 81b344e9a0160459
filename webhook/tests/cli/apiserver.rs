//! As much of an apiserver as someone needs who only reads: lists in pages, objects by name, refusals.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::Folder;

/// A cluster of objects that stay as they are.
pub(crate) struct Apiserver {
    /// The kubeconfig that leads to it.
    pub(crate) kubeconfig: String,
    world: Arc<World>,
    _folder: Folder,
}

#[derive(Default)]
struct World {
    objects: Vec<Value>,
    /// Resources that nobody may read, as `secrets`; `nodes@` means only those outside namespaces.
    forbidden: Vec<&'static str>,
    /// Nothing is answered.
    silent: bool,
    asked: Mutex<Vec<String>>,
}

impl Apiserver {
    pub(crate) fn of(objects: Vec<Value>) -> Self {
        Self::start(World {
            objects,
            ..World::default()
        })
    }

    pub(crate) fn forbidding(objects: Vec<Value>, forbidden: &[&'static str]) -> Self {
        Self::start(World {
            objects,
            forbidden: forbidden.to_vec(),
            ..World::default()
        })
    }

    pub(crate) fn silent() -> Self {
        Self::start(World {
            silent: true,
            ..World::default()
        })
    }

    fn start(world: World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let folder = Folder::new();
        let kubeconfig = folder.write(
            "config",
            kubeconfig(&listener.local_addr().unwrap().to_string()),
        );
        let world = Arc::new(world);
        let server = Arc::clone(&world);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let world = Arc::clone(&server);
                std::thread::spawn(move || world.serve(&stream.unwrap()));
            }
        });
        Self {
            kubeconfig,
            world,
            _folder: folder,
        }
    }

    /// The paths that were asked for, with their queries, sorted.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut asked = self.world.asked.lock().unwrap().clone();
        asked.sort();
        asked
    }
}

/// A kubeconfig with the contexts `here` (the current one) and `gone`.
pub(crate) fn kubeconfig(address: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\ncontexts:\n- {{name: here, context: {{cluster: here, user: a}}}}\n\
         - {{name: gone, context: {{cluster: gone, user: a}}}}\nusers:\n- {{name: a, user: {{}}}}\nclusters:\n\
         - {{name: here, cluster: {{server: 'http://{address}'}}}}\n- {{name: gone, cluster: {{server: 'http://127.0.0.1:1'}}}}\n"
    )
}

impl World {
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let mut words = head.split(' ');
        assert_eq!(words.next(), Some("GET"), "a reader only reads");
        let target = words.next().unwrap();
        self.asked.lock().unwrap().push(target.to_owned());
        if self.silent {
            std::thread::sleep(std::time::Duration::from_mins(1));
            return;
        }
        let (status, body) = self.answer(target);
        let body = body.to_string();
        let _ = write!(
            &*stream,
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
    }

    fn answer(&self, target: &str) -> (u16, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let steps: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (group, rest) = match steps.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => panic!("{path}"),
        };
        let (namespace, plural, name) = match rest {
            ["namespaces", namespace, plural, name @ ..] => {
                (Some(*namespace), *plural, name.first())
            }
            [plural, name @ ..] => (None, *plural, name.first()),
            [] => panic!("{path}"),
        };
        let verb = if name.is_some() { "get" } else { "list" };
        if self.forbidden.contains(&plural)
            || namespace.is_none() && self.forbidden.contains(&format!("{plural}@").as_str())
        {
            let place = namespace.map_or_else(
                || "at the cluster scope".to_owned(),
                |namespace| format!("in the namespace \"{namespace}\""),
            );
            let message = format!(
                "{plural} is forbidden: User \"jane\" cannot {verb} resource \"{plural}\" in API group \"{group}\" {place}"
            );
            return (403, status("Forbidden", &message, None));
        }
        let mut found = self.objects.iter().filter(|object| {
            let kind = object["kind"].as_str().unwrap().to_lowercase();
            let of = object["metadata"]["namespace"].as_str();
            [format!("{kind}s"), format!("{kind}es")].contains(&plural.to_owned())
                && namespace.is_none_or(|namespace| of == Some(namespace))
        });
        if let Some(name) = name {
            return match found.find(|object| object["metadata"]["name"] == **name) {
                Some(object) => (200, object.clone()),
                None => (404, status("NotFound", "not found", Some(name))),
            };
        }
        let parameter = |key: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .into_iter()
                .find(|pair| pair.0 == key)
                .map(|pair| pair.1)
        };
        let limit: usize = parameter("limit").unwrap().parse().unwrap();
        let first: usize = parameter("continue").map_or(0, |next| next.parse().unwrap());
        let found: Vec<&Value> = found.collect();
        let next = first + limit;
        let metadata = if next < found.len() {
            json!({"continue": next.to_string()})
        } else {
            json!({})
        };
        let items: Vec<&&Value> = found.iter().skip(first).take(limit).collect();
        (200, json!({"metadata": metadata, "items": items}))
    }
}

fn status(reason: &str, message: &str, name: Option<&str>) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message,
        "details": {"name": name},
    })
}
