//! `natsguard explain`: the page of a policy, or the list of them.

use std::fmt::Write as _;
use std::io;

use natsguard_policies::policy::Action;
use natsguard_policies::rules::{POLICIES, find};

use super::{SUCCESS, UNUSABLE, complain, print};
use crate::args::Explain;

pub(super) fn run(args: &Explain) -> io::Result<u8> {
    let Some(id) = &args.id else {
        print(list().as_bytes())?;
        return Ok(SUCCESS);
    };
    let Some(policy) = find(id) else {
        complain(&format!(
            "there is no policy {id}; `natsguard explain` lists them"
        ));
        return Ok(UNUSABLE);
    };
    print(policy.page.as_bytes())?;
    Ok(SUCCESS)
}

fn list() -> String {
    let width = POLICIES
        .iter()
        .map(|policy| policy.id.len())
        .max()
        .unwrap_or_default();
    POLICIES.iter().fold(String::new(), |mut list, policy| {
        let action = match (policy.action, policy.otherwise) {
            (Action::Fix, otherwise) => format!("fix/{otherwise}"),
            (action, _) => action.to_string(),
        };
        let _ = writeln!(list, "{:width$}  {action:8}  {}", policy.id, policy.title);
        list
    })
}
