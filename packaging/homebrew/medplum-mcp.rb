class MedplumMcp < Formula
  desc "MCP server for Medplum: an AI agent works on a FHIR R4 project"
  homepage "@HOMEPAGE@"
  version "@VERSION@"
  license "@LICENCE@"

  on_macos do
    on_arm do
      url "@URL aarch64-apple-darwin@"
      sha256 "@SHA256 aarch64-apple-darwin@"
    end
    on_intel do
      url "@URL x86_64-apple-darwin@"
      sha256 "@SHA256 x86_64-apple-darwin@"
    end
  end

  on_linux do
    on_arm do
      url "@URL aarch64-unknown-linux-musl@"
      sha256 "@SHA256 aarch64-unknown-linux-musl@"
    end
    on_intel do
      url "@URL x86_64-unknown-linux-musl@"
      sha256 "@SHA256 x86_64-unknown-linux-musl@"
    end
  end

  def install
    bin.install "medplum-mcp", "pymedplum-mcp"
    generate_completions_from_executable(bin/"medplum-mcp", "completions")
    man1.mkpath
    system bin/"medplum-mcp", "man", "--dir", man1
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/medplum-mcp --version")
    call = %w[--sandbox call search_resources]
    found = shell_output("#{bin}/medplum-mcp #{call.join(" ")} '{\"resource_type\":\"Patient\",\"count\":1}'")
    assert_match "Patient", found
  end
end
