# nix build 'git+file:.?dir=deploy/nix'; nix run 'git+file:.?dir=deploy/nix' -- --help
{
  description = "p2pds, an archive node for AT Protocol accounts";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      systems = [ "x86_64-linux" "aarch64-linux" ];
      each = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
    in
    {
      packages = each (pkgs: rec {
        p2pds = pkgs.callPackage ./package.nix { commit = self.shortRev or "dirty"; };
        default = p2pds;
        image = pkgs.callPackage ./image.nix { inherit p2pds; };
      });
      nixosModules.default = import ./module.nix self;
    };
}
