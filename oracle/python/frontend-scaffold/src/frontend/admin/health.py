"""Whether the frontend is up."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter()


@router.get("/health")
async def health() -> dict[str, str]:
    """Say that the service is up."""
    return {"status": "ok", "service": "frontend"}
