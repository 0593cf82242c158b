//! `uninstall`: what `install` put in, taken out.

use std::process::ExitCode;

use clap::Command;
use futures_util::FutureExt;

use super::super::{Ended, Invocation, Subcommand, say};
use super::file::{Known, Trouble};
use super::hosts::{HOSTS, Scope};
use super::receipt::Receipt;
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
    let receipt = Receipt::beside(&known, &aim.name)?;
    let Some(written) = Written::find(aim.host, &aim.name, known.text()).map_err(by_hand)? else {
        print(&format!("{}: {} is not in {shown}; there is nothing to take out.\n", aim.host.title, aim.name))?;
        for other in others_of_ours(&aim, &known) {
            print(&format!("{other} is there: {}\n", aim.undo_of(&other, true)))?;
        }
        return forget(invocation, &aim, &known, &receipt);
    };
    if !receipt.names(&written) {
        let why = if aim.starts_us(&written) {
            "was written or changed by hand, so it stays. To take it out, delete it there"
        } else {
            "starts something else than this program, so `install` did not put it in. Nothing was changed"
        };
        print(&format!("{}: {} in {shown} {why}.\n", aim.host.title, aim.name))?;
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
    carry_out(&known, kept.as_ref(), &becomes)?;
    leave_later_backups(&aim, &known, kept.as_ref(), &receipt)?;
    if receipt.delete().is_err() {
        say(&format!("{} could not be deleted; it is not needed any more.", aim.machine.shown(receipt.place())));
    }
    leave_folder(&aim, &known, &becomes);
    let what = match becomes {
        Becomes::AsKept => format!("{shown} is as it was before"),
        Becomes::Nothing => format!("{shown} held nothing else and is gone"),
        Becomes::Text(_) => format!("it is out of {shown}; the rest is as it was"),
    };
    let title = aim.host.title;
    print(&format!("{title}: {what}. If {title} is running, restart it.\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// The names under which `install` put in others, which may be what was meant.
fn others_of_ours(aim: &Aim<'_>, known: &Known) -> Vec<String> {
    let names = Written::names(aim.host, known.text()).unwrap_or_default().into_iter();
    let is_ours = |name: &String| {
        let written = Written::find(aim.host, name, known.text()).ok().flatten();
        let receipt = Receipt::beside(known, name).ok();
        written.zip(receipt).is_some_and(|(written, receipt)| receipt.names(&written))
    };
    names.filter(is_ours).collect()
}

/// What is left beside the file where the host itself, or a person, took us out.
fn forget(invocation: &Invocation<'_>, aim: &Aim<'_>, known: &Known, receipt: &Receipt) -> Ended {
    let kept = known.kept(&aim.name);
    let places = kept.iter().map(Known::place).chain(receipt.exists().then(|| receipt.place()));
    let places: Vec<String> = places.map(|place| aim.machine.shown(place)).collect();
    if !places.is_empty() {
        let places = places.join(" and ");
        print(&format!("What `install` left beside it is still there: {places}.\n"))?;
        if may_write(invocation.arguments, &format!("Delete {places}?"))? {
            kept.map_or(Ok(()), |kept| kept.delete())?;
            receipt.delete()?;
            print("Deleted.\n")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn becomes(aim: &Aim<'_>, known: &Known, kept: Option<&Known>, written: &Written) -> Result<Becomes, Unusable> {
    let Some(kept) = kept else {
        // There was no file before us.
        let text = Written::take(aim.host, &aim.name, known.text(), "")?;
        return Ok(if text.trim().is_empty() { Becomes::Nothing } else { Becomes::Text(text) });
    };
    // Nobody changed it since: what we put into what was kept is what is there.
    let as_we_left_it = written.put(aim.host, kept.text());
    if known.is_marked_as(kept) && as_we_left_it.is_ok_and(|left| left == known.text()) {
        return Ok(Becomes::AsKept);
    }
    Ok(Becomes::Text(Written::take(aim.host, &aim.name, known.text(), kept.text())?))
}

/// What was kept when another entry came after ours holds ours too, which must not come back with it.
fn leave_later_backups(aim: &Aim<'_>, known: &Known, kept: Option<&Known>, receipt: &Receipt) -> Result<(), Trouble> {
    for later in known.kept_otherwise(&aim.name) {
        let Ok(Some(written)) = Written::find(aim.host, &aim.name, later.text()) else { continue };
        if !receipt.names(&written) {
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

/// A folder that is a project's for this host alone goes with the file that was alone in it.
fn leave_folder(aim: &Aim<'_>, known: &Known, becomes: &Becomes) {
    let file = aim.host.file(Scope::Project, &aim.machine);
    let own = file.is_some_and(|file| file.parent() != Some(&aim.machine.folder));
    if matches!(becomes, Becomes::Nothing) && aim.scope == Scope::Project && own {
        known.delete_folder();
    }
}

fn carry_out(known: &Known, kept: Option<&Known>, becomes: &Becomes) -> Result<(), Trouble> {
    match (becomes, kept) {
        (Becomes::AsKept, Some(kept)) => known.restore(kept)?,
        (Becomes::Nothing, _) => known.delete()?,
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
