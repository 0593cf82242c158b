//! `uninstall`: what `install` put in, taken out.

use std::process::ExitCode;

use clap::Command;
use futures_util::FutureExt;

use super::super::{Ended, Invocation, Subcommand, say};
use super::file::{Known, Trouble};
use super::hosts::{HOSTS, Scope};
use super::text::Unusable;
use super::written::Written;
use super::{Aim, difference, host_argument, may_write, place_arguments, print};

pub(in crate::cli) const SUBCOMMAND: Subcommand =
    Subcommand { command, run: |invocation: &Invocation<'_>| run(invocation).boxed_local() };

fn command() -> Command {
    Command::new("uninstall")
        .about("Take out of a host's configuration what `install` put in, and nothing else")
        .after_help(
            "Examples:\n  \
             medplum-mcp uninstall claude-code\n  \
             medplum-mcp uninstall vscode --scope project --yes\n  \
             medplum-mcp uninstall cursor --sandbox        what `install cursor --sandbox` put in",
        )
        .arg_required_else_help(true)
        .arg(host_argument(HOSTS.iter()))
        .args(place_arguments())
}

/// What becomes of the file.
enum Becomes {
    /// Byte for byte what was kept when we came.
    AsKept,
    /// It goes: there is nothing but us in it.
    Nothing,
    /// Itself without us.
    Text(String),
}

async fn run(invocation: &Invocation<'_>) -> Ended {
    let aim = Aim::of(invocation)?;
    let file = aim.file()?;
    let shown = aim.machine.shown(&file);
    let known = Known::read(&file, shown.clone())?;
    let by_hand = |error: Unusable| format!("{shown}: {error}. Nothing was written");
    let Some(written) = Written::find(aim.host, &aim.name, known.text()).map_err(by_hand)? else {
        print(&format!("{}: {} is not in {shown}; there is nothing to take out.\n", aim.host.title, aim.name))?;
        return forget(invocation, &aim, &known);
    };
    if !aim.starts_us(&written) {
        let (title, name) = (aim.host.title, &aim.name);
        print(&format!(
            "{title}: {name} in {shown} starts something else than this program, so `install` did not put it in. Nothing was changed.\n"
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    let kept = known.kept(&aim.name);
    let becomes = becomes(&aim, &known, kept.as_ref(), &written).map_err(by_hand)?;
    let after = match &becomes {
        Becomes::AsKept => kept.as_ref().map(Known::text).unwrap_or_default(),
        Becomes::Nothing => "",
        Becomes::Text(text) => text,
    };
    print(&difference::shown(&shown, known.text(), after))?;
    if !may_write(invocation.arguments, &format!("Write this to {shown}?"))? {
        return Ok(ExitCode::SUCCESS);
    }
    carry_out(&aim, &known, kept.as_ref(), &becomes)?;
    leave_later_backups(&aim, &known, kept.as_ref())?;
    let what = match becomes {
        Becomes::AsKept => format!("{shown} is as it was before"),
        Becomes::Nothing => format!("{shown} held nothing else and is gone"),
        Becomes::Text(_) => format!("it is out of {shown}; the rest is as it was"),
    };
    let title = aim.host.title;
    print(&format!("{title}: {what}. If {title} is running, restart it.\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// A backup that is left where the host itself, or a person, took us out.
fn forget(invocation: &Invocation<'_>, aim: &Aim<'_>, known: &Known) -> Ended {
    if let Some(kept) = known.kept(&aim.name) {
        let place = aim.machine.shown(kept.place());
        print(&format!("What the file was before {} was put in is still kept in {place}.\n", aim.name))?;
        if may_write(invocation.arguments, &format!("Delete {place}?"))? {
            kept.delete()?;
            print("It is deleted.\n")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn becomes(aim: &Aim<'_>, known: &Known, kept: Option<&Known>, written: &Written) -> Result<Becomes, Unusable> {
    let Some(kept) = kept else {
        if known.text() == written.alone(aim.host) {
            return Ok(Becomes::Nothing);
        }
        let text = Written::take(aim.host, &aim.name, known.text(), None)?;
        return Ok(if text.trim().is_empty() { Becomes::Nothing } else { Becomes::Text(text) });
    };
    // Nobody changed it since: what we put into what was kept is what is there.
    let as_we_left_it = written.put(aim.host, kept.text());
    if known.is_marked_as(kept) && as_we_left_it.is_ok_and(|left| left == known.text()) {
        return Ok(Becomes::AsKept);
    }
    let mut text = Written::take(aim.host, &aim.name, known.text(), Some(kept.text()))?;
    // A server of the same name that was there before us comes back.
    if let Ok(Some(before)) = Written::find(aim.host, &aim.name, kept.text()) {
        text = before.put(aim.host, &text)?;
    }
    Ok(Becomes::Text(text))
}

/// What was kept when another entry came after ours holds ours too, which must not come back with it.
fn leave_later_backups(aim: &Aim<'_>, known: &Known, kept: Option<&Known>) -> Result<(), Trouble> {
    for later in known.kept_otherwise(&aim.name) {
        let Ok(Some(written)) = Written::find(aim.host, &aim.name, later.text()) else { continue };
        if !aim.starts_us(&written) {
            continue;
        }
        match becomes(aim, &later, kept, &written) {
            Ok(Becomes::AsKept) => later.write(kept.map(Known::text).unwrap_or_default(), false)?,
            Ok(Becomes::Nothing) => later.delete()?,
            Ok(Becomes::Text(text)) => later.write(&text, false)?,
            Err(_) => {}
        }
    }
    Ok(())
}

fn carry_out(aim: &Aim<'_>, known: &Known, kept: Option<&Known>, becomes: &Becomes) -> Result<(), Trouble> {
    match (becomes, kept) {
        (Becomes::AsKept, Some(kept)) => known.restore(kept)?,
        (Becomes::Nothing, _) => {
            known.delete()?;
            if aim.scope == Scope::Project
                && aim.host.file(Scope::Project, &aim.machine).is_some_and(|f| f.parent() != Some(&aim.machine.folder))
            {
                known.delete_folder();
            }
        }
        (Becomes::Text(text), kept) => {
            known.write(text, false)?;
            if let Some(kept) = kept
                && kept.delete().is_err()
            {
                say("The backup could not be deleted; it is not needed any more.");
            }
        }
        (Becomes::AsKept, None) => {}
    }
    Ok(())
}
