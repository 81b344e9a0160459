//! Any bytes: parsing ends, tokens tile the input, and a document with an error has no values.

#![no_main]

use libfuzzer_sys::fuzz_target;
use natsguard_policies::conf::{Document, Included, is_template, read, storage_size};

fuzz_target!(|text: &[u8]| {
    let document = Document::parse(text);
    let mut end = 0;
    for token in document.tokens() {
        assert_eq!(token.start(), end);
        assert!(token.end() >= end);
        end = token.end();
    }
    assert_eq!(end, text.len());

    let config = document.read();
    assert!(document.error().is_none() || config.error.is_some());
    assert!(config.error.is_none() || config.root.is_empty());
    for (key, value) in config.root.iter() {
        assert!(
            value.origin.file == 0 && value.origin.span.end <= text.len(),
            "{key}"
        );
        let _ = storage_size(value);
    }
    let _ = config.root.to_json();
    is_template(text);

    // Every include is the first half of the file itself.
    let half = text.get(..text.len() / 2).unwrap_or_default();
    let mut left = 3;
    read(text, &mut |_, _| {
        left -= 1;
        if left < 0 {
            Included::Missing
        } else {
            Included::Text(half.to_vec())
        }
    });
});
