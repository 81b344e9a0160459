//! Documents of every kind: well-formed, nearly so, and mutations of real ones.

use crate::compare::{Case, ENVIRONMENT};
use std::collections::BTreeMap;

/// Makes one document from one seed.
pub(crate) struct Generator {
    state: u64,
    out: Vec<u8>,
    /// How often, in a thousand, something is done wrong on purpose.
    chaos: usize,
    names: Vec<String>,
}

const KEYS: [&str; 30] = [
    "port",
    "cluster",
    "routes",
    "name",
    "jetstream",
    "a",
    "b",
    "c",
    "x.y",
    "max-mem",
    "A",
    "Port",
    "'q k'",
    "\"d k\"",
    "\"a\"",
    "'b'",
    "include",
    "Include",
    "a]",
    "k{",
    "k#x",
    "ключ",
    "a/b",
    "\u{feff}a",
    "}",
    "{",
    "/",
    "\"\"",
    "a,b",
    "$x",
];
const SCALARS: [&str; 92] = [
    "1",
    "0",
    "-1",
    "42",
    "4222",
    "-0",
    "1k",
    "2Mi",
    "3kb",
    "4GiB",
    "5e",
    "-6KB",
    "1kbb",
    "1kib",
    "1kbi",
    "9EB",
    "8k8",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "1.5",
    "-2.25",
    "0.1",
    "1.",
    ".5",
    "1.5e3",
    "1.2.3",
    "127.0.0.1:4222",
    "10.0.0.0/8",
    "true",
    "no",
    "ON",
    "yEs",
    "off",
    "trues",
    "bar",
    "'bar'",
    "\"bar\"",
    "bar'",
    "''",
    "\"\"",
    "'a\nb'",
    "\"a\nb\"",
    "\"\\x41\\n\\\"\"",
    "\"\\y\"",
    "x\\ty",
    "x\\",
    "\"\\x4\"",
    "\\x41",
    "nats://a:6222",
    "nats://u:p@b.c:6222",
    "nats://[::1]:6222",
    "$X",
    "$a",
    "$b",
    "$name",
    "$2a$11$ooo",
    "$2b$x",
    "\"$X\"",
    "$",
    "${X}",
    "{{x}}",
    "3xyz",
    "30s",
    "5m30s",
    "1-nats",
    "2016-05-04T18:53:41Z",
    "2016-13-04T18:53:41Z",
    "1900-02-29T00:00:00Z",
    "2016-05-04",
    "/data",
    "#c",
    "//c",
    "(\nfoo\n)\n",
    "(\nfoo)\n)\n",
    "(foo\n)",
    "(\r\nx\r\n)\r\n",
    "b\u{a0}c",
    "é",
    "٣",
    "٣x",
    "1٣",
    "²",
    "]",
    ")",
    "=x",
    ":x",
    "a\"b",
    "a=b",
    "1'",
    "1]x",
    "1\\n",
];
const BITS: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\n)\n",
    ",",
    ";",
    ":",
    "=",
    "'",
    "\"",
    "\\",
    "\\x",
    "\\n",
    "#",
    "/",
    "//",
    "\n",
    "\r",
    "\r\n",
    " ",
    "\t",
    "\0",
    "$",
    "$a",
    "-",
    ".",
    "1",
    "k",
    "b",
    "true",
    "include ",
    "\u{a0}",
    "\u{85}",
    "\u{2028}",
    "\u{3000}",
    "٣",
    "é",
    "2016-05-04T18:53:41Z",
    "\x0b",
    "\x0c",
    "x",
];

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        let names = vec![
            "X".to_owned(),
            "a".to_owned(),
            "b".to_owned(),
            "POD_NAME".to_owned(),
        ];
        Self {
            state: seed,
            out: Vec::new(),
            chaos: 0,
            names,
        }
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("smaller than a usize")
    }

    fn chance(&mut self, of_a_thousand: usize) -> bool {
        self.below(1000) < of_a_thousand
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A document with its includes and environment.
    pub(crate) fn case(mut self, corpus: &[Vec<u8>]) -> Case {
        self.chaos = self.pick(&[0, 0, 5, 20, 80]);
        match self.below(10) {
            0..=3 => {
                let index = self.below(corpus.len());
                self.out.clone_from(&corpus[index]);
                self.mutate();
            }
            4 => {
                for _ in 0..self.below(30) {
                    let bit = self.pick(&BITS);
                    self.put(bit);
                }
            }
            _ => {
                self.document();
                if self.chance(250) {
                    self.mutate();
                }
            }
        }
        let mut case = Case::of("generated", &self.out);
        if self.chance(600) {
            let names = [
                "X",
                "POD_NAME",
                "SERVER_NAME",
                "CLUSTER_ADVERTISE",
                "NATS_SERVER_NAME",
                "JS_KEY",
                "index",
                "name",
                "b",
            ];
            case.env = names
                .iter()
                .map(|name| ((*name).to_owned(), ENVIRONMENT.to_string()))
                .collect();
        }
        if self.chance(500) {
            case.includes = self.includes();
        }
        case
    }

    fn includes(&mut self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        let texts = [
            "a: 1\n",
            "b: 2",
            "x { y: [z] }\n",
            "",
            "a: [",
            "{ c: 3 }",
            "name: $X",
            "m { n }",
            "a: 1kbb\nb: 3",
        ];
        for path in [
            "./a.conf",
            "./auth.conf",
            "./extra.conf",
            "d/b.conf",
            "a.conf",
            "auth.conf",
            "b.conf",
        ] {
            let text = self.pick(&texts).to_owned();
            files.insert(path.trim_start_matches("./").to_owned(), text);
        }
        files.insert(
            "d/c.conf".to_owned(),
            "include b.conf\nc: 1\ninclude ../a.conf".to_owned(),
        );
        files
    }

    fn document(&mut self) {
        if self.chance(30) {
            self.put("\u{feff}");
        }
        let blocks = if self.chance(150) {
            1 + self.below(2)
        } else {
            0
        };
        for _ in 0..blocks {
            self.put("{");
            self.space(true);
        }
        for _ in 0..self.below(8) {
            self.pair(0);
            self.line_end(0);
        }
        for _ in 0..blocks {
            self.put("}");
            self.space(true);
        }
    }

    fn slip(&mut self) {
        if self.chaos > 0 && self.chance(self.chaos) {
            let bit = self.pick(&BITS);
            self.put(bit);
        }
    }

    fn space(&mut self, lines: bool) {
        let spaces: &[&str] = if lines {
            &["", " ", "\n", "\r\n", "  ", "\t", " # c\n", "\n// d\n"]
        } else {
            &["", " ", " ", "  ", "\t"]
        };
        let space = self.pick(spaces);
        self.put(space);
        self.slip();
    }

    fn line_end(&mut self, depth: usize) {
        let ends: &[&str] = if depth == 0 {
            &[
                "\n",
                "\n",
                "\n",
                "\r\n",
                ";",
                ", ",
                "; ",
                " # c\n",
                " // c\r\n",
                "#c\n",
                ",\n",
                "\n\n",
                " /\n",
            ]
        } else {
            &[
                "\n", ", ", ",", "; ", ",\n", "\n", " # c\n", "\r\n", ", // c\n", ";\n", " / ",
            ]
        };
        let end = self.pick(ends);
        self.put(end);
        self.slip();
    }

    fn pair(&mut self, depth: usize) {
        if self.chance(40) {
            let path = self.pick(&[
                "a.conf",
                "./a.conf",
                "'b.conf'",
                "\"d/b.conf\"",
                "d/c.conf",
                "no.conf",
                "1.conf",
                "./auth.conf",
            ]);
            self.put("include ");
            self.put(path);
            if self.chance(800) {
                self.put(" ");
            }
            return;
        }
        let rare = self.chance(150);
        let key = if rare {
            self.pick(&KEYS)
        } else {
            self.pick(&KEYS[..16])
        };
        self.put(key);
        self.slip();
        let separator = self.pick(&[" ", ": ", " = ", "=", ":", ":  ", "\t", " : ", "  "]);
        self.put(separator);
        self.value(depth);
    }

    fn value(&mut self, depth: usize) {
        let kind = if depth > 5 { 0 } else { self.below(10) };
        match kind {
            0..=5 => {
                if self.chance(80) {
                    let index = self.below(self.names.len());
                    let name = format!("${}", self.names[index]);
                    self.put(&name);
                    return;
                }
                // Most values are plain ones, or hardly any document would be accepted.
                let scalar = if self.chance(self.chaos * 4) {
                    self.pick(&SCALARS)
                } else {
                    self.pick(&[
                        "1",
                        "-1",
                        "2Mi",
                        "1.5",
                        "true",
                        "no",
                        "bar",
                        "'bar'",
                        "\"bar\"",
                        "bar'",
                        "nats://a:6222",
                        "127.0.0.1:4222",
                        "30s",
                        "3xyz",
                        "\"\\x41\\n\"",
                        "x\\ty",
                        "/d",
                        "2016-05-04T18:53:41Z",
                        "$2a$x",
                        "''",
                        "1kbb",
                        "9EB",
                        "a\"b",
                    ])
                };
                self.put(scalar);
            }
            6 | 7 => {
                self.put("[");
                self.space(true);
                let count = self.below(4);
                for index in 0..count {
                    self.value(depth + 1);
                    if index + 1 < count || self.chance(200) {
                        let separator = self
                            .pick(&[", ", ",", "\n", ",\n", "\r\n", " , ", " # c\n", ", # c\n"]);
                        self.put(separator);
                        self.slip();
                    }
                }
                let end = self.pick(&[" ", "\n", " ", "\n  ", ""]);
                self.put(end);
                self.put("]");
            }
            _ => {
                self.put("{");
                self.space(true);
                let count = self.below(4);
                for index in 0..count {
                    self.pair(depth + 1);
                    if index + 1 < count || self.chance(300) {
                        self.line_end(depth + 1);
                    }
                }
                self.space(true);
                self.put("}");
            }
        }
    }

    fn mutate(&mut self) {
        for _ in 0..=self.below(4) {
            let length = self.out.len();
            let at = self.below(length + 1);
            match self.below(9) {
                0 if length > 0 => {
                    let end = (at + 1 + self.below(6)).min(length);
                    self.out.drain(at..end.max(at));
                }
                1 if length > 0 => {
                    let byte = u8::try_from(self.below(256)).expect("a byte");
                    self.out[at.min(length - 1)] = byte;
                }
                2 => self.out.truncate(at),
                3 if length > 0 => {
                    let end = (at + self.below(40)).min(length);
                    let piece = self.out[at..end].to_vec();
                    let to = self.below(length);
                    self.out.splice(to..to, piece);
                }
                4 => {
                    let scalar = self.pick(&SCALARS);
                    self.out.splice(at..at, scalar.bytes());
                }
                5 => {
                    let byte = u8::try_from(self.below(256)).expect("a byte");
                    self.out.insert(at, byte);
                }
                _ => {
                    let bit = self.pick(&BITS);
                    self.out.splice(at..at, bit.bytes());
                }
            }
        }
    }
}
