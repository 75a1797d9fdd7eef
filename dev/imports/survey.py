"""A survey: all that the table and the picture show of one package. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from dev.imports.circles import circles
from dev.imports.contract import Layer
from dev.imports.floors import Floors, floors
from dev.imports.package import Arrow, Package, Room, arrows, rooms


@dataclass(frozen=True, slots=True)
class Survey:
    name: str
    modules: int
    rooms: tuple[Room, ...]
    arrows: tuple[Arrow, ...]
    floors: Floors
    room_circles: tuple[tuple[str, ...], ...]
    module_circles: tuple[tuple[str, ...], ...]
    named: int  # number of rooms that the contract names

    @property
    def loose(self) -> int:
        return sum(room.loose for room in self.rooms)

    @property
    def order(self) -> str:
        """What decides the order of the floors."""
        if not self.named:
            return "the longest path of imports"
        if self.named == len(self.rooms):
            return "the layers contract"
        return f"the layers contract for {self.named} rooms, the longest path of imports for the others"


def survey(package: Package, layers: Sequence[Layer] = ()) -> Survey:
    its_rooms, its_arrows = rooms(package), arrows(package)
    names = [room.name for room in its_rooms]
    return Survey(
        name=package.name,
        modules=len(package.lines),
        rooms=its_rooms,
        arrows=its_arrows,
        floors=floors(names, its_arrows, layers),
        room_circles=circles((arrow.importer, arrow.imported) for arrow in its_arrows),
        module_circles=circles(package.imports),
        named=len({room for layer in layers for room in layer.rooms} & set(names)),
    )
